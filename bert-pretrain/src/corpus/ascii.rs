//! Sentences of UAX #29 in ASCII, without its tables: for most English text that leaves a byte here and there to look at.

/// Where sentences end in a line of ASCII, its end among them. Rules are named as in UAX #29; those not named say nothing of
/// ASCII without line ends.
pub(super) fn sentence_ends(line: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut place = 0;
    while let Some(skipped) = line[place..].iter().position(|&byte| is_terminator(byte)) {
        let terminator = place + skipped;
        // SB9, SB10: what closes, then spaces.
        let closed = past(line, terminator + 1, is_close);
        let next = past(line, closed, is_space);
        let full_stop = line[terminator] == b'.';
        let directly = next == terminator + 1;
        let after_letter = terminator > 0 && line[terminator - 1].is_ascii_alphabetic();
        let ends_here = match line.get(next) {
            None => false,
            // SB8a
            Some(b',' | b'-' | b':' | b';') => false,
            Some(&byte) if is_terminator(byte) => false,
            // SB6, SB7
            Some(b'0'..=b'9') if full_stop && directly => false,
            Some(b'A'..=b'Z') if full_stop && directly && after_letter => false,
            // SB8, SB11
            Some(_) => !(full_stop && goes_on_in_lowercase(&line[next..])),
        };
        if ends_here {
            ends.push(next);
        }
        place = next;
    }
    if !line.is_empty() {
        ends.push(line.len());
    }
    ends
}

fn is_terminator(byte: u8) -> bool {
    matches!(byte, b'.' | b'!' | b'?')
}

fn is_close(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'(' | b')' | b'[' | b']' | b'{' | b'}')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c)
}

/// The first place from `start` on that is not such a byte.
fn past(line: &[u8], start: usize, is_such: fn(u8) -> bool) -> usize {
    let length = line[start..].iter().take_while(|&&byte| is_such(byte));
    start + length.count()
}

/// Whether the first letter is lowercase, and no terminator before it.
fn goes_on_in_lowercase(text: &[u8]) -> bool {
    let decides = |byte: &&u8| byte.is_ascii_alphabetic() || is_terminator(**byte);
    text.iter()
        .find(decides)
        .is_some_and(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_segmentation::UnicodeSegmentation;

    fn by_the_tables(line: &str) -> Vec<usize> {
        let sentences = line.split_sentence_bound_indices();
        sentences
            .map(|(start, sentence)| start + sentence.len())
            .collect()
    }

    #[test]
    fn all_short_lines_are_split_as_by_the_tables() {
        let bytes = b"aA0.!,) _";
        let mut line = Vec::new();
        for length in 0..=6 {
            for number in 0..bytes.len().pow(length) {
                line.clear();
                let mut rest = number;
                for _ in 0..length {
                    line.push(bytes[rest % bytes.len()]);
                    rest /= bytes.len();
                }
                let text = str::from_utf8(&line).unwrap();
                assert_eq!(sentence_ends(&line), by_the_tables(text), "{text:?}");
            }
        }
    }

    #[test]
    fn every_byte_is_to_sentences_what_the_tables_say() {
        for byte in (0..128_u8).filter(|byte| !b"\r\n".contains(byte)) {
            let byte = char::from(byte);
            for around in [
                "a._ a", "a._ A", "A._A", "._0", ".) _ a", "!_ a", "a_A", "a._",
            ] {
                let line = around.replace('_', &byte.to_string());
                assert_eq!(
                    sentence_ends(line.as_bytes()),
                    by_the_tables(&line),
                    "{line:?}"
                );
            }
        }
    }
}
