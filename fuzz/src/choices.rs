//! Bytes as a series of choices, so that a small change of the input is a small change of what is made of it.

/// Every choice is the first one when the bytes have come to their end.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// From 0 to `count` - 1, of at most 256.
    pub fn below(&mut self, count: u32) -> u32 {
        u32::from(self.byte()) % count.max(1)
    }

    pub fn of<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len() as u32) as usize].clone()
    }

    /// Rarely true, so that most of what is made is as in ordinary life.
    pub fn seldom(&mut self) -> bool {
        self.byte() > 220
    }

    pub fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.seldom().then(|| make(self))
    }

    /// Up to `most`.
    pub fn several<T>(&mut self, most: u32, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }
}
