//! Places in a text, counted in characters as Python counts them.

/// A text whose places are counted in characters.
pub(crate) struct Characters<'a> {
    text: &'a str,
    /// Where in the bytes each character begins, and where the text ends.
    starts: Vec<usize>,
}

impl<'a> Characters<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let starts = text.char_indices().map(|(start, _)| start);
        Self {
            text,
            starts: starts.chain([text.len()]).collect(),
        }
    }

    /// The text itself.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The characters `start..end`, as far as they are there.
    pub(crate) fn slice(&self, (start, end): (usize, usize)) -> &'a str {
        let last = self.starts.len() - 1;
        &self.text[self.starts[start.min(last)]..self.starts[end.min(last)]]
    }

    /// The text from a character on; empty where there is no such character.
    pub(crate) fn from(&self, start: usize) -> &'a str {
        self.slice((start, usize::MAX))
    }

    /// The number of the character that begins at a byte.
    pub(crate) fn number_at(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start < byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_and_beyond_the_text_there_is_nothing() {
        let characters = Characters::new("aé日b");
        assert_eq!(characters.slice((1, 3)), "é日");
        assert_eq!(characters.from(2), "日b");
        assert_eq!(characters.slice((3, usize::MAX)), "b");
        assert_eq!(characters.from(usize::MAX), "");
        assert_eq!(characters.number_at(3), 2);
        assert_eq!(Characters::new("").from(0), "");
    }
}
