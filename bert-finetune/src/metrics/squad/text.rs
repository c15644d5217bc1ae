//! When two answers agree: normalised text, exact match and the F1 of words.

use std::collections::HashMap;

use crate::metrics::Scores;

/// Whether the prediction equals one of the gold answers after [`normalize_answer`].
///
/// Gold answers of which normalisation leaves nothing are passed over. Where none is left (or none was
/// given: an unanswerable question) the right prediction is one of which nothing is left either.
pub fn exact_match<T: AsRef<str>>(prediction: &str, golds: &[T]) -> bool {
    normalized_golds(golds).contains(&normalize_answer(prediction))
}

/// The F1 of the prediction's words against those of the gold answer it shares most with, in 0..1.
///
/// Words are those of [`normalize_answer`], compared as bags. With a prediction or a gold answer
/// without words it is 1 where both have none and 0 elsewhere; gold answers are passed over as in
/// [`exact_match`].
pub fn f1<T: AsRef<str>>(prediction: &str, golds: &[T]) -> f64 {
    let prediction = normalize_answer(prediction);
    normalized_golds(golds)
        .iter()
        .map(|gold| f1_of_words(&prediction, gold))
        .fold(0.0, f64::max)
}

/// F1 against one gold answer, both normalised.
fn f1_of_words(prediction: &str, gold: &str) -> f64 {
    if prediction.is_empty() || gold.is_empty() {
        return if prediction == gold { 1.0 } else { 0.0 };
    }
    let mut unmatched: HashMap<&str, u64> = HashMap::new();
    let mut gold_words = 0;
    for word in gold.split(' ') {
        *unmatched.entry(word).or_default() += 1;
        gold_words += 1;
    }
    let mut predicted_words = 0;
    let mut same = 0;
    for word in prediction.split(' ') {
        predicted_words += 1;
        if let Some(left) = unmatched.get_mut(word).filter(|left| **left > 0) {
            *left -= 1;
            same += 1;
        }
    }
    Scores::from_counts(same, predicted_words, gold_words).f1
}

fn normalized_golds<T: AsRef<str>>(golds: &[T]) -> Vec<String> {
    let mut normalized: Vec<String> = golds
        .iter()
        .map(|gold| normalize_answer(gold.as_ref()))
        .filter(|gold| !gold.is_empty())
        .collect();
    if normalized.is_empty() {
        normalized.push(String::new());
    }
    normalized
}

/// What of an answer is compared: lower case, without ASCII punctuation, without the words a, an and
/// the, and with one space between words (`normalize_answer` of both scripts).
///
/// A word is here a run of letters and digits of any script, as in Python's `\b(a|an|the)\b`. The one
/// difference: an article that touches a combining vowel sign or a circled or squared letter is kept,
/// as Rust calls those alphabetic and Python does not.
pub fn normalize_answer(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut word = String::new();
    let lower = text.to_lowercase();
    for c in lower
        .chars()
        .filter(|c| !c.is_ascii_punctuation())
        .chain([' '])
    {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        if matches!(word.as_str(), "a" | "an" | "the") {
            kept.push(' '); // not nothing: the marks around an article stay apart
        } else {
            kept.push_str(&word);
        }
        word.clear();
        kept.push(c);
    }
    let words: Vec<&str> = kept
        .split(is_python_space)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// What Python's `str.split()` splits at: Unicode's white space and four ASCII separators.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::{exact_match, f1, normalize_answer};
    use crate::metrics::oracle::assert_close;

    /// Prediction, gold answers, exact match, F1, and evaluate-v1.1's two where it is to agree.
    type AnswerCase = (String, Vec<String>, bool, f64, Option<(bool, f64)>);

    #[derive(serde::Deserialize)]
    struct AnswerCases {
        normalized: Vec<(String, String)>,
        answers: Vec<AnswerCase>,
    }

    const NO_GOLDS: [&str; 0] = [];

    #[test]
    fn answers_are_normalized_and_compared_as_by_the_official_scripts() {
        let cases = include_str!("../../../tests/metrics/squad_answers.json");
        let cases: AnswerCases = serde_json::from_str(cases).unwrap();
        for (text, normalized) in cases.normalized {
            assert_eq!(normalize_answer(&text), normalized, "{text:?}");
        }
        for (prediction, golds, exact, token_f1, version_1) in cases.answers {
            assert_eq!(
                exact_match(&prediction, &golds),
                exact,
                "{prediction:?} {golds:?}"
            );
            assert_close(f1(&prediction, &golds), token_f1);
            if let Some((exact, token_f1)) = version_1 {
                assert_eq!(exact_match(&prediction, &golds), exact);
                assert_close(f1(&prediction, &golds), token_f1);
            }
        }
    }

    #[test]
    fn f1_counts_a_repeated_word_as_often_as_both_answers_have_it() {
        assert_close(f1("gold gold gold", &["gold gold ring"]), 2.0 / 3.0);
    }

    #[test]
    fn an_article_is_a_whole_word_in_any_script() {
        assert_eq!(
            normalize_answer("The a\u{e9} an\u{201d}x, Than 'A'"),
            "a\u{e9} \u{201d}x than"
        );
    }

    #[test]
    fn an_unanswerable_question_is_answered_rightly_by_nothing() {
        assert!(exact_match("", &NO_GOLDS));
        assert!(exact_match("The!", &NO_GOLDS));
        assert_eq!(f1("", &NO_GOLDS), 1.0);
        assert_eq!(f1("river", &NO_GOLDS), 0.0);
        assert_eq!(f1("", &["river"]), 0.0);
    }
}
