//! The shape of an acceptable JSON value. The parser keeps only the parts of a text that fit.

/// The parts of a value that are kept. A container that does not fit is kept empty; no input rule accepts an empty
/// container in that position.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// Everything.
    Anything,
    /// A value that is neither an array nor an object.
    Scalar,
    /// A scalar, or an array whose first items are kept.
    Items {
        /// Number of items kept: one more than any rule accepts, so that an array that is too long is noticed.
        most: usize,
        /// The shape of each item.
        each: &'a Shape<'a>,
    },
    /// An object.
    Members {
        /// The shapes of the members with these names.
        named: &'a [(&'static str, Shape<'a>)],
        /// The shape of the members that are not named.
        others: &'a Shape<'a>,
    },
}

impl<'a> Shape<'a> {
    /// Returns the shape of an array's item, or `None` if it is not kept.
    pub(super) fn item(self, index: usize) -> Option<Self> {
        match self {
            Self::Anything => Some(Self::Anything),
            Self::Items { most, each } => (index < most).then_some(*each),
            Self::Scalar | Self::Members { .. } => None,
        }
    }

    /// Returns the shape of an object's member, or `None` if it is not kept.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        match self {
            Self::Anything => Some(Self::Anything),
            Self::Members { named, others } => {
                Some(named.iter().find(|(known, _)| *known == name).map_or(*others, |(_, shape)| *shape))
            }
            Self::Scalar | Self::Items { .. } => None,
        }
    }
}
