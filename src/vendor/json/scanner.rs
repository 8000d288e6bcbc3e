//! The reader: a state machine over bytes. Chunks may end anywhere.

use super::listener::{Container, Listener, Scalar};
use super::nesting::Nesting;
use super::string::TextBuffer;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// The part of the text to which the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The start of the text. Holds the number of bytes of a byte order mark that were read.
    Start(usize),
    /// A value.
    Value,
    /// A value, or the end of an empty array.
    FirstItem,
    /// A name, or the end of an empty object.
    FirstName,
    /// A name.
    Name,
    /// The colon after a name.
    Colon,
    /// A comma, the end of a container, or the end of the text.
    AfterValue,
    /// An unquoted word: a literal or a number.
    Word,
    /// A string, or a name.
    Text,
    /// The character after a backslash.
    Escape,
    /// The digits of `\uXXXX`: how many were read, and their value.
    Unicode(u8, u16),
    /// The text is not JSON.
    Failed,
}

/// A reader that takes a text chunk by chunk and reports its content to a [`Listener`].
#[derive(Debug)]
pub struct Scanner<L> {
    listener: L,
    state: State,
    nesting: Nesting,
    text: TextBuffer,
    /// True if the current string is a member's name.
    is_name: bool,
    /// True if the current word consists only of characters that numbers can have.
    is_numeric: bool,
}

impl<L: Listener> Scanner<L> {
    /// Returns a reader at the start of a text.
    #[must_use]
    pub fn new(listener: L) -> Self {
        let (nesting, text) = (Nesting::default(), TextBuffer::default());
        Self { listener, state: State::Start(0), nesting, text, is_name: false, is_numeric: false }
    }

    /// Reads the next chunk of the text.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            match self.state {
                State::Text => rest = self.read_text(rest),
                State::Failed => return,
                _ => {
                    self.step(*byte);
                    rest = after;
                }
            }
        }
    }

    /// Ends the text. Returns the listener if the text is one JSON value.
    #[must_use]
    pub fn finish(mut self) -> Option<L> {
        if self.state == State::Word {
            self.end_word();
        }
        (self.state == State::AfterValue && self.nesting.is_empty()).then_some(self.listener)
    }

    /// Reads up to and including the next special character of a string.
    fn read_text<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        let (plain, special) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
        if !plain.is_empty() {
            self.text.push(plain);
        }
        let Some((byte, after)) = special.split_first() else { return &[] };
        if *byte == b'"' {
            self.end_text();
        } else {
            self.state = State::Escape;
        }
        after
    }

    fn step(&mut self, byte: u8) {
        match self.state {
            State::Start(read) => self.step_start(read, byte),
            State::Word if is_word(byte) => {
                self.is_numeric = self.is_numeric && is_numeric(byte);
                self.text.push(&[byte]);
            }
            State::Word => {
                self.end_word();
                self.step(byte);
            }
            State::Escape => self.step_escape(byte),
            State::Unicode(read, unit) => self.step_unicode(read, unit, byte),
            State::Value | State::FirstItem | State::FirstName | State::Name | State::Colon | State::AfterValue => {
                if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                    self.step_structure(byte);
                }
            }
            State::Text | State::Failed => {}
        }
    }

    fn step_start(&mut self, read: usize, byte: u8) {
        if BYTE_ORDER_MARK.get(read) == Some(&byte) {
            let read = read.saturating_add(1);
            self.state = if read == BYTE_ORDER_MARK.len() { State::Value } else { State::Start(read) };
        } else if read == 0 {
            self.state = State::Value;
            self.step(byte);
        } else {
            self.state = State::Failed;
        }
    }

    fn step_structure(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::FirstItem, b']') | (State::FirstName, b'}') => self.close(byte),
            (State::AfterValue, b']' | b'}') => self.close(byte),
            (State::AfterValue, b',') => match self.nesting.innermost() {
                Some(Container::Array) => State::Value,
                Some(Container::Object) => State::Name,
                None => State::Failed,
            },
            (State::FirstName | State::Name, b'"') => self.begin_text(true),
            (State::Colon, b':') => State::Value,
            (State::Value | State::FirstItem, b'"') => self.begin_text(false),
            (State::Value | State::FirstItem, b'[') => self.open(Container::Array, State::FirstItem),
            (State::Value | State::FirstItem, b'{') => self.open(Container::Object, State::FirstName),
            (State::Value | State::FirstItem, _) if is_word(byte) => {
                self.text.clear();
                self.text.push(&[byte]);
                self.is_numeric = is_numeric(byte);
                State::Word
            }
            _ => State::Failed,
        };
    }

    fn open(&mut self, container: Container, next: State) -> State {
        self.nesting.push(container);
        self.listener.open(container);
        next
    }

    fn close(&mut self, byte: u8) -> State {
        let container = if byte == b']' { Container::Array } else { Container::Object };
        if self.nesting.innermost() != Some(container) {
            return State::Failed;
        }
        self.nesting.pop();
        self.listener.close();
        State::AfterValue
    }

    fn begin_text(&mut self, is_name: bool) -> State {
        self.text.clear();
        self.is_name = is_name;
        State::Text
    }

    fn end_text(&mut self) {
        let text = self.text.finish();
        if self.is_name {
            self.listener.member(text.as_deref());
            self.state = State::Colon;
        } else {
            self.listener.value(Scalar::Text(text.as_deref()));
            self.state = State::AfterValue;
        }
    }

    fn step_escape(&mut self, byte: u8) {
        self.state = State::Text;
        match byte {
            b'u' => self.state = State::Unicode(0, 0),
            b'b' => self.text.push(&[0x08]),
            b'f' => self.text.push(&[0x0C]),
            b'n' => self.text.push(b"\n"),
            b'r' => self.text.push(b"\r"),
            b't' => self.text.push(b"\t"),
            // `\"`, `\\`, `\/` and escapes that JSON does not define stand for the character itself.
            other => self.text.push(&[other]),
        }
    }

    fn step_unicode(&mut self, read: u8, unit: u16, byte: u8) {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
        self.state = State::Text;
        match (digit, read) {
            (Some(digit), 0..=2) => self.state = State::Unicode(read.saturating_add(1), (unit << 4) | digit),
            (Some(digit), _) => self.text.push_unit((unit << 4) | digit),
            (None, _) => {
                self.text.push_unit(0xFFFD);
                // The byte that is not a digit may be the quotation mark that ends the string.
                self.read_text(&[byte]);
            }
        }
    }

    fn end_word(&mut self) {
        let text = self.text.finish();
        let value = match text.as_deref() {
            Some("null") => Scalar::Null,
            Some("true" | "false") => Scalar::Boolean,
            Some("NaN" | "-NaN" | "Infinity" | "-Infinity") => Scalar::NotFinite,
            number if self.is_numeric => Scalar::Number(number),
            _ => {
                self.state = State::Failed;
                return;
            }
        };
        self.listener.value(value);
        self.state = State::AfterValue;
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || is_numeric(byte)
}

/// Returns whether a number can contain this byte. Notations outside JSON, such as `+1`, `.5` and `007`, count as
/// numbers here; the code that uses the number interprets it.
const fn is_numeric(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
