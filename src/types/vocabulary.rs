//! A closed vocabulary: an enum and the list of its variants in one, so that neither has one that the other lacks.

/// Declares an enum of plain variants, and `ALL` with each of them in this order.
macro_rules! vocabulary {
    (
        $(#[$about:meta])*
        $visibility:vis enum $name:ident { $($(#[$about_one:meta])* $variant:ident,)+ }
    ) => {
        $(#[$about])*
        $visibility enum $name { $($(#[$about_one])* $variant,)+ }

        impl $name {
            /// Every one, in the order of the declaration.
            $visibility const ALL: [Self; [$(stringify!($variant)),+].len()] = [$(Self::$variant),+];
        }
    };
}

pub(crate) use vocabulary;

#[cfg(test)]
mod tests {
    vocabulary! {
        /// Three of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Color { Red, Green, /** The last. */ Blue, }
    }

    #[test]
    fn the_list_has_each_variant_once_and_in_order() {
        assert_eq!(Color::ALL, [Color::Red, Color::Green, Color::Blue]);
    }
}
