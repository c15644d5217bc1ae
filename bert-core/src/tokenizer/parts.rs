//! Parts of a text that are tokenized alike wherever they stand. Most of a text repeats itself, so that what is made of a part
//! is remembered, and the library asked once. A sentence without spaces would otherwise be one part and hardly repeat, and
//! so would each word together with each sign that follows it.

/// The white space that ends a part: what BERT's normaliser makes a space of wherever it stands.
pub(super) const SPACES: [char; 4] = [' ', '\t', '\n', '\r'];

/// The parts of a stretch between white space: signs that are words of their own, and what lies between them. Ideographs
/// are such signs where the tokenizer says so.
pub(super) fn parts(stretch: &str, ideographs: bool) -> impl Iterator<Item = &str> {
    let mut rest = stretch;
    std::iter::from_fn(move || {
        let mut characters = rest.char_indices();
        let end = match characters.find(|(_, c)| is_own_word(*c, ideographs)) {
            Some((0, sign)) => sign.len_utf8(),
            Some((place, _)) => place,
            None => rest.len(),
        };
        let (part, after) = rest.split_at(end);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// Whether BERT's normaliser and splitter make a word of a character wherever it stands: punctuation and ideographs. Rare
/// punctuation is missing, which costs memory and changes no token.
pub(super) fn is_own_word(c: char, ideographs: bool) -> bool {
    c.is_ascii_punctuation()
        || matches!(c,
            // Dashes, quotation marks, ellipses.
            '\u{2010}'..='\u{2027}'
            // Punctuation of Chinese and Japanese, then its wide forms.
            | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{ff01}'..='\u{ff03}'
            | '\u{ff05}'..='\u{ff0a}' | '\u{ff0c}'..='\u{ff0f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff1f}')
        || ideographs
            && matches!(c,
            // Those of tokenizers' BertNormalizer, with its gaps.
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}'
            | '\u{2f800}'..='\u{2fa1f}')
}
