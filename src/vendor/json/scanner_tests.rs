use super::*;

/// A listener that records every event.
#[derive(Default)]
struct Log(String);

impl Listener for Log {
    fn member(&mut self, name: Option<&str>) {
        self.0.push_str(&format!("{}: ", name.unwrap_or("(long)")));
    }

    fn open(&mut self, container: Container) {
        self.0.push(if container == Container::Array { '[' } else { '{' });
    }

    fn close(&mut self) {
        self.0.push_str("; ");
    }

    fn value(&mut self, value: Scalar<'_>) {
        self.0.push_str(&match value {
            Scalar::Null => "null, ".to_owned(),
            Scalar::Boolean => "boolean, ".to_owned(),
            Scalar::NotFinite => "not finite, ".to_owned(),
            Scalar::Number(text) => format!("{}, ", text.unwrap_or("(long)")),
            Scalar::Text(text) => format!("{:?}, ", text.unwrap_or("(long)")),
        });
    }
}

fn scan(chunks: &[&[u8]]) -> Option<String> {
    let mut scanner = Scanner::new(Log::default());
    chunks.iter().for_each(|chunk| scanner.push(chunk));
    scanner.finish().map(|log| log.0.trim_end().trim_end_matches(',').to_owned())
}

/// Scans a text as a whole and split at every byte.
fn events(text: impl AsRef<[u8]>) -> Option<String> {
    let text = text.as_ref();
    let whole = scan(&[text]);
    for at in 0..text.len() {
        let (before, after) = text.split_at(at);
        assert_eq!(scan(&[before, after]), whole, "split at {at}: {}", text.escape_ascii());
    }
    whole
}

#[test]
fn json_is_told_in_its_order() {
    let text = r#" {"a" : [1, -2.5e+3,"x\n\u00e9\ud83d\ude00"] , "b":{}, "":null,"c":[[],true]} "#;
    let told = "{a: [1, -2.5e+3, \"x\\né😀\", ; b: {; : null, c: [[; boolean, ; ;";
    assert_eq!(events(text).as_deref(), Some(told));
}

#[test]
fn harmless_oddities_are_read() {
    for (text, told) in [
        (&b"\xef\xbb\xbf[]"[..], "[;"),
        (b"[NaN,Infinity,-Infinity]", "[not finite, not finite, not finite, ;"),
        (br#"["\ud83d"]"#, "[\"\u{fffd}\", ;"),
        (br#"["\ud83d\ud83d\ude00\ude00x"]"#, "[\"\u{fffd}\u{1f600}\u{fffd}x\", ;"),
        (b"[\"\xff\xc3\"]", "[\"\u{fffd}\u{fffd}\", ;"),
        (b"[\"a\nb\"]", "[\"a\\nb\", ;"),
        (br#"["\x\u12g"]"#, "[\"x\u{fffd}g\", ;"),
        (br#"["\u12"]"#, "[\"\u{fffd}\", ;"),
        (b"{\"a\":1,\"a\":2}", "{a: 1, a: 2, ;"),
        (b"[+1,.5,007]", "[+1, .5, 007, ;"),
        (b"5", "5"),
        (b"null", "null"),
    ] {
        assert_eq!(events(text).as_deref(), Some(told), "{}", text.escape_ascii());
    }
}

#[test]
fn what_is_not_one_json_value_is_refused() {
    for text in [
        &b""[..],
        b" ",
        b"{",
        b"[",
        b"]",
        b"[}",
        b"{]",
        b"[1,]",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\":1,}",
        b"{a:1}",
        b"[1 2]",
        b"[] []",
        b"\"a",
        b"\"\\",
        b"\"\\u12",
        b"nul",
        b"<html>",
        b"\xef\xbb\xbf",
        b"\xef\xbb{}",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"[undefined]",
        b"'a'",
    ] {
        assert_eq!(events(text), None, "{}", text.escape_ascii());
    }
}

#[test]
fn depth_has_no_limit() {
    let depth = 4 * 1_024 * 1_024;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let mut scanner = Scanner::new(Silent);
        scanner.push(open.repeat(depth).as_bytes());
        scanner.push(b"1");
        scanner.push(close.repeat(depth).as_bytes());
        assert!(scanner.finish().is_some());
    }
}

struct Silent;

impl Listener for Silent {
    fn member(&mut self, _: Option<&str>) {}
    fn open(&mut self, _: Container) {}
    fn close(&mut self) {}
    fn value(&mut self, _: Scalar<'_>) {}
}
