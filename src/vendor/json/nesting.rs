//! The open containers of a text, one bit each: 4 MiB of brackets cost half a MiB.

use super::listener::Container;

/// A stack of containers.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    bits: Vec<u8>,
    depth: usize,
}

impl Nesting {
    pub(super) const fn is_empty(&self) -> bool {
        self.depth == 0
    }

    pub(super) fn push(&mut self, container: Container) {
        let (index, mask) = (self.depth.div_euclid(8), mask_of(self.depth));
        if index >= self.bits.len() {
            self.bits.push(0);
        }
        if let Some(byte) = self.bits.get_mut(index) {
            match container {
                Container::Array => *byte &= !mask,
                Container::Object => *byte |= mask,
            }
        }
        self.depth = self.depth.saturating_add(1);
    }

    /// Returns the innermost container.
    pub(super) fn innermost(&self) -> Option<Container> {
        let at = self.depth.checked_sub(1)?;
        let byte = self.bits.get(at.div_euclid(8))?;
        Some(if byte & mask_of(at) == 0 { Container::Array } else { Container::Object })
    }

    pub(super) const fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

const fn mask_of(depth: usize) -> u8 {
    match depth.rem_euclid(8) {
        0 => 1,
        1 => 2,
        2 => 4,
        3 => 8,
        4 => 16,
        5 => 32,
        6 => 64,
        _ => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_come_back_in_reverse_order() {
        let mut nesting = Nesting::default();
        let kind = |number: usize| if number.is_multiple_of(3) { Container::Object } else { Container::Array };
        for round in 0..2 {
            for number in 0..100 {
                nesting.push(kind(number + round));
            }
            for number in (0..100).rev() {
                assert_eq!(nesting.innermost(), Some(kind(number + round)), "{number}");
                nesting.pop();
            }
            assert!(nesting.is_empty() && nesting.innermost().is_none());
        }
    }
}
