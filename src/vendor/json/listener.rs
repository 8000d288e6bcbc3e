//! What the reader tells about a text.

/// A kind of value that holds other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

/// A value without values in it. A text longer than [`crate::constants::VENDOR_TEXT_MAX_BYTES`] is not kept: it is
/// `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// `NaN`, `Infinity` or `-Infinity`, which JSON does not have. Some serializers write them.
    NotFinite,
    /// A number, as written.
    Number(Option<&'a str>),
    /// A string, unescaped.
    Text(Option<&'a str>),
}

/// Receives the events of a text in its order. An error later in the text makes everything told before meaningless.
pub trait Listener {
    /// A member's name, unescaped, or `None` if it is too long. Its value is told next.
    fn member(&mut self, name: Option<&str>);
    /// A container begins.
    fn open(&mut self, container: Container);
    /// The innermost container ends.
    fn close(&mut self);
    /// A value without values in it.
    fn value(&mut self, value: Scalar<'_>);
}
