//! The part of a JSON text that can be acceptable, so that reading keeps no more than that.

/// What of a value is kept. A container that does not fit is kept empty, and no rule accepts it in that place.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// Everything.
    Anything,
    /// A value that is no array or object.
    Scalar,
    /// A scalar, or an array of which the first items are kept.
    Items {
        /// Items that are kept: one more than can be acceptable.
        most: usize,
        /// The shape of each.
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
