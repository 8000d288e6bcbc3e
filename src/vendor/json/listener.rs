//! The events that the reader reports about a text.

/// A kind of value that holds other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

/// A value that contains no other values. A text longer than [`crate::constants::VENDOR_TEXT_MAX_BYTES`] is not kept
/// and is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// `NaN`, `Infinity` or `-Infinity`. They are not JSON, but some serializers write them.
    NotFinite,
    /// A number, as written.
    Number(Option<&'a str>),
    /// A string, unescaped.
    Text(Option<&'a str>),
}

/// A receiver of the events of a text, in their order. If the reader finds an error later, all earlier events are void.
pub trait Listener {
    /// A member's name, unescaped, or `None` if it is too long. The event for its value follows.
    fn member(&mut self, name: Option<&str>);
    /// A container begins.
    fn open(&mut self, container: Container);
    /// The innermost container ends.
    fn close(&mut self);
    /// A value that contains no other values.
    fn value(&mut self, value: Scalar<'_>);
}
