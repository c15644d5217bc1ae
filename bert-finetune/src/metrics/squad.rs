//! Question answering as SQuAD scores it: exact match and token F1 of answers, by text.
//!
//! One code serves both official scripts: on questions whose gold answers have a word in them,
//! evaluate-v2.0.py computes what evaluate-v1.1.py does.

mod text;

pub use text::{exact_match, f1, normalize_answer};

/// One question with what the system answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What the system answers at its own threshold; empty for "no answer". Scored as it is.
    pub prediction: String,
    /// The best answer that is not "no answer", also where the system prefers none. The search for
    /// the best threshold chooses between this and "no answer".
    pub best_answer: String,
    /// The gold answers; none where the question cannot be answered from the text.
    pub golds: Vec<String>,
    /// How much "no answer" is preferred: its score minus that of `best_answer`.
    pub no_answer_score: f64,
}

/// The scores of some of the questions, in percent.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Part {
    /// The mean exact match.
    pub exact_match: f64,
    /// The mean token F1.
    pub f1: f64,
    /// How many questions these are.
    pub total: u64,
}

/// What the official scripts print, with percentages in 0..100.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SquadScores {
    /// The mean exact match; 0 over no questions.
    pub exact_match: f64,
    /// The mean token F1; 0 over no questions.
    pub f1: f64,
    /// How many questions there are.
    pub total: u64,
    /// Of the questions that have an answer (`HasAns`), where there are any.
    pub has_answer: Option<Part>,
    /// Of the questions that have none (`NoAns`), where there are any.
    pub no_answer: Option<Part>,
    /// The highest exact match that a threshold reaches, where there are questions without an answer.
    pub best_exact_match: Option<f64>,
    /// The threshold that reaches it: "no answer" is given where `no_answer_score` is above it.
    pub best_exact_match_threshold: Option<f64>,
    /// The highest F1 that a threshold reaches, where there are questions without an answer.
    pub best_f1: Option<f64>,
    /// The threshold that reaches it.
    pub best_f1_threshold: Option<f64>,
}

impl SquadScores {
    /// Scores all questions of an evaluation.
    ///
    /// The four `best_…` are `find_best_thresh` of evaluate-v2.0.py over `no_answer_score` (the
    /// script's `na_probs`) and `best_answer`. As there, the threshold is 0 where answering nothing at
    /// all is best, and questions of equal score are taken one after another in the given order.
    pub fn new(questions: &[Answered]) -> Self {
        let all: Vec<&Answered> = questions.iter().collect();
        let (unanswerable, answerable): (Vec<_>, Vec<_>) = questions
            .iter()
            .partition(|question| question.golds.is_empty());
        let overall = part(&all);
        let no_answer = part(&unanswerable);
        let mut best_exact = None;
        let mut best_f1 = None;
        if no_answer.is_some() {
            best_exact = Some(best_threshold(&all, exact_match_of_one));
            best_f1 = Some(best_threshold(&all, f1));
        }
        Self {
            exact_match: overall.map_or(0.0, |part| part.exact_match),
            f1: overall.map_or(0.0, |part| part.f1),
            total: questions.len() as u64,
            has_answer: part(&answerable),
            no_answer,
            best_exact_match: best_exact.map(|best| best.score),
            best_exact_match_threshold: best_exact.map(|best| best.threshold),
            best_f1: best_f1.map(|best| best.score),
            best_f1_threshold: best_f1.map(|best| best.threshold),
        }
    }
}

/// The scores of what the system answers to these questions; `None` over no questions.
fn part(questions: &[&Answered]) -> Option<Part> {
    if questions.is_empty() {
        return None;
    }
    let mut exact = 0.0;
    let mut token_f1 = 0.0;
    for question in questions {
        exact += exact_match_of_one(&question.prediction, &question.golds);
        token_f1 += f1(&question.prediction, &question.golds);
    }
    let total = questions.len() as f64;
    Some(Part {
        exact_match: 100.0 * exact / total,
        f1: 100.0 * token_f1 / total,
        total: questions.len() as u64,
    })
}

/// The highest score that a threshold reaches, in percent, and that threshold.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    threshold: f64,
}

/// Starts with "no answer" to every question and lets the threshold rise over the questions, each of
/// which is then answered: that adds its score, or takes one away where it should not be answered.
fn best_threshold(questions: &[&Answered], metric: fn(&str, &[String]) -> f64) -> Best {
    let mut rising = questions.to_vec();
    rising.sort_by(|a, b| a.no_answer_score.total_cmp(&b.no_answer_score));
    let mut score = questions
        .iter()
        .filter(|question| question.golds.is_empty())
        .count() as f64;
    let mut best = Best {
        score,
        threshold: 0.0,
    };
    for question in rising {
        if !question.golds.is_empty() {
            score += metric(&question.best_answer, &question.golds);
        } else if !question.best_answer.is_empty() {
            score -= 1.0;
        }
        if score > best.score {
            best = Best {
                score,
                threshold: question.no_answer_score,
            };
        }
    }
    best.score = 100.0 * best.score / questions.len() as f64;
    best
}

fn exact_match_of_one(prediction: &str, golds: &[String]) -> f64 {
    f64::from(u8::from(exact_match(prediction, golds)))
}

#[cfg(test)]
mod tests {
    use super::{Answered, Part, SquadScores};
    use crate::metrics::oracle::assert_close;

    #[derive(serde::Deserialize)]
    struct EvaluationCase {
        /// Prediction, best answer, gold answers, no-answer score.
        questions: Vec<(String, String, Vec<String>, f64)>,
        /// What the script printed.
        result: std::collections::BTreeMap<String, f64>,
    }

    fn answered(
        prediction: &str,
        best_answer: &str,
        golds: &[&str],
        no_answer_score: f64,
    ) -> Answered {
        Answered {
            prediction: prediction.to_owned(),
            best_answer: best_answer.to_owned(),
            golds: golds.iter().map(|&gold| gold.to_owned()).collect(),
            no_answer_score,
        }
    }

    #[test]
    fn evaluations_and_best_thresholds_are_those_of_evaluate_v2() {
        let cases = include_str!("../../tests/metrics/squad_evaluations.json");
        let cases: Vec<EvaluationCase> = serde_json::from_str(cases).unwrap();
        for case in cases {
            let mut questions = Vec::new();
            for (prediction, best_answer, golds, no_answer_score) in case.questions {
                questions.push(Answered {
                    prediction,
                    best_answer,
                    golds,
                    no_answer_score,
                });
            }
            let scores = SquadScores::new(&questions);
            let part = |part: Option<Part>, value: fn(Part) -> f64| part.map(value);
            for (key, actual) in [
                ("exact", Some(scores.exact_match)),
                ("f1", Some(scores.f1)),
                ("total", Some(scores.total as f64)),
                (
                    "HasAns_exact",
                    part(scores.has_answer, |part| part.exact_match),
                ),
                ("HasAns_f1", part(scores.has_answer, |part| part.f1)),
                (
                    "HasAns_total",
                    part(scores.has_answer, |part| part.total as f64),
                ),
                (
                    "NoAns_exact",
                    part(scores.no_answer, |part| part.exact_match),
                ),
                ("NoAns_f1", part(scores.no_answer, |part| part.f1)),
                (
                    "NoAns_total",
                    part(scores.no_answer, |part| part.total as f64),
                ),
                ("best_exact", scores.best_exact_match),
                ("best_exact_thresh", scores.best_exact_match_threshold),
                ("best_f1", scores.best_f1),
                ("best_f1_thresh", scores.best_f1_threshold),
            ] {
                let expected = case.result.get(key).copied();
                assert_eq!(actual.is_some(), expected.is_some(), "{key}");
                assert_close(actual.unwrap_or(0.0), expected.unwrap_or(0.0));
            }
        }
    }

    #[test]
    fn the_best_threshold_answers_what_the_configured_one_withheld() {
        let questions = [
            answered("", "river", &["the river"], 2.0),
            answered("", "lake", &[], 3.0),
        ];
        let scores = SquadScores::new(&questions);
        assert_eq!(scores.exact_match, 50.0);
        assert_eq!(scores.best_exact_match, Some(100.0));
        assert_eq!(scores.best_exact_match_threshold, Some(2.0));
        assert_eq!(scores.best_f1_threshold, Some(2.0));
    }

    #[test]
    fn without_unanswerable_questions_there_is_no_threshold_to_search() {
        let scores = SquadScores::new(&[answered("river", "river", &["river"], -1.0)]);
        assert_eq!(scores.exact_match, 100.0);
        assert_eq!(scores.no_answer, None);
        assert_eq!(scores.best_f1, None);
    }

    #[test]
    fn no_questions_score_zero() {
        let scores = SquadScores::new(&[]);
        assert_eq!((scores.exact_match, scores.f1, scores.total), (0.0, 0.0, 0));
        assert_eq!((scores.has_answer, scores.no_answer), (None, None));
        assert_eq!(scores.best_exact_match, None);
    }
}
