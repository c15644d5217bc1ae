use std::fs;

use serde_json::{Value, json};

use super::*;

/// The questions that can be used, and what is wrong with the others.
struct Read {
    questions: Vec<Question>,
    problems: Vec<Error>,
}

fn read(text: impl AsRef<[u8]>) -> Result<Read> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.json");
    fs::write(&path, text).unwrap();
    let (mut usable, mut problems) = (Vec::new(), Vec::new());
    for question in questions(&path, true)? {
        match question {
            Ok(question) => usable.push(question),
            Err(problem) => problems.push(problem),
        }
    }
    Ok(Read {
        questions: usable,
        problems,
    })
}

/// A file with one paragraph.
fn paragraph(context: &str, qas: Value) -> Read {
    let file = json!({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]});
    read(file.to_string()).unwrap()
}

/// The problem and help of the only question, which must have been left out.
fn refusal(context: &str, question: Value) -> (String, String) {
    let file = paragraph(context, json!([question]));
    assert!(file.questions.is_empty());
    parts(&file.problems[0])
}

fn parts(error: &Error) -> (String, String) {
    match error {
        Error::Data { problem, help, .. } => (problem.clone(), help.clone()),
        other => panic!("{other}"),
    }
}

#[test]
fn both_versions_are_read_and_extra_keys_ignored() {
    let text = r#"{
 "version": "v2.0", "more": [[]],
 "data": [{"title": "T", "paragraphs": [{
  "context": "Köln is on the Rhine.",
  "qas": [
   {"id": "a", "question": "Which river?", "answers": [{"text": "Rhine", "answer_start": 15, "x": 0}]},
   {"question": "Which sea?", "id": "b", "is_impossible": true, "answers": [],
    "plausible_answers": [{"text": "Rhine", "answer_start": 15}]},
   {"id": 7,
    "question": "What?"}
  ]}]}]}"#;
    let file = read(format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
    assert!(file.problems.is_empty());
    let [a, b, c] = &file.questions[..] else {
        panic!("{:?}", file.questions)
    };
    assert_eq!(a.id, "a");
    assert_eq!(a.question, "Which river?");
    assert_eq!(&*a.context, "Köln is on the Rhine.");
    assert!(Arc::ptr_eq(&a.context, &b.context));
    let rhine = Answer {
        text: "Rhine".into(),
        start: 15,
    };
    assert_eq!(a.answers, [rhine]);
    assert!(!a.is_impossible);
    assert!(b.is_impossible && b.answers.is_empty());
    assert_eq!(c.id, "7");
    assert!(c.answers.is_empty() && !c.is_impossible);
    assert_eq!([a.line, b.line, c.line], [6, 7, 10]);
}

#[test]
fn where_everything_is_escaped_the_line_is_that_of_a_question_before() {
    let text = r#"{"data": [{"paragraphs": [{"context": "c", "qas": [
{"id": "\u0061", "question": "q\n"},
{"id": "\u0062", "question": "q"},
{"id": "c", "question": "q\n"}]}]}]}"#;
    let lines: Vec<_> = read(text)
        .unwrap()
        .questions
        .iter()
        .map(|question| question.line)
        .collect();
    assert_eq!(lines, [1, 3, 4]);
}

#[test]
fn offsets_count_unicode_scalar_values() {
    let context = "😀é e\u{301} 中文 end";
    let answers = json!([
        {"text": "😀", "answer_start": 0},
        {"text": "中文", "answer_start": 6},
        {"text": "end", "answer_start": 9},
    ]);
    let file = paragraph(
        context,
        json!([{"id": "a", "question": "q", "answers": answers}]),
    );
    assert_eq!(file.questions[0].answers.len(), 3);
}

#[test]
fn an_answer_at_another_place_is_reported_with_where_it_is_and_left_out() {
    let question = |text: &str, start: i64| {
        let answers = json!([{"text": text, "answer_start": start}]);
        json!({"id": "a", "question": "q", "answers": answers})
    };
    let context = "é one two one";
    let (problem, help) = refusal(context, question("two", 7));
    assert_eq!(
        problem,
        "question \"a\": the context does not have the answer \"two\" at character 7"
    );
    assert!(help.contains("once, at character 6:"), "{help}");
    let (_, help) = refusal(context, question("one", 3));
    assert!(help.contains("several"), "{help}");
    let (_, help) = refusal(context, question("three", 3));
    assert!(help.contains("nowhere"), "{help}");
    for start in [-1, i64::MIN, 13, 14, i64::MAX] {
        let (problem, _) = refusal(context, question("two", start));
        assert!(problem.ends_with(&format!("at character {start}")));
    }
    assert!(
        refusal(context, question("", 0))
            .0
            .ends_with("an answer is empty")
    );
}

#[test]
fn an_answered_question_must_have_answers_and_an_impossible_one_none() {
    let (problem, _) = refusal("c", json!({"id": "a", "question": "q", "answers": []}));
    assert!(problem.ends_with("it has no answer and is not marked impossible"));
    let answers = json!([{"text": "c", "answer_start": 0}]);
    let question = json!({"id": "a", "question": "q", "answers": answers, "is_impossible": true});
    let (problem, _) = refusal("c", question);
    assert!(problem.ends_with("it is marked impossible and has an answer"));
}

#[test]
fn empty_questions_and_contexts_are_left_out() {
    let (problem, _) = refusal("c", json!({"id": "a", "question": " "}));
    assert!(problem.ends_with("its text is empty"));
    let (problem, _) = refusal("\n", json!({"id": "a", "question": "q"}));
    assert!(problem.ends_with("its context is empty"));
}

#[test]
fn of_two_questions_with_one_id_the_second_is_left_out_with_its_line() {
    let text = r#"{"data": [{"paragraphs": [{"context": "c", "qas": [
{"id": "1", "question": "q"},
{"id": 1, "question": "r"},
{"id": 2, "question": "s"}]}]}]}"#;
    let file = read(text).unwrap();
    assert_eq!(file.questions.len(), 2);
    let message = file.problems[0].to_string();
    let wanted = "f.json:3: question \"1\": another question has the same id";
    assert!(message.ends_with(wanted), "{message}");
    // It stands where the question stood.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.json");
    fs::write(&path, text).unwrap();
    let usable: Vec<bool> = questions(&path, true)
        .unwrap()
        .iter()
        .map(Result::is_ok)
        .collect();
    assert_eq!(usable, [true, false, true]);
}

#[test]
fn structural_errors_name_line_and_column() {
    for (text, wanted) in [
        ("", ":1: EOF while parsing a value at column 0"),
        ("{\n\"data\": [", ":2: EOF while parsing a list at column 9"),
        ("{\n}", ":2: missing field `data` at column 1"),
        (
            "3",
            ":1: invalid type: integer `3`, expected an object with `data` at column 1",
        ),
        ("{\"data\": []} x", ":1: trailing characters at column 14"),
        (
            "{\"data\": [{\"paragraphs\": [\n{\"context\": 3}]}]}",
            ":2: invalid type: integer `3`, expected a string at column 13",
        ),
        (
            "{\"data\": [{\"paragraphs\": [{\"context\": \"c\", \"qas\": [\n{\"id\": []}]}]}]}",
            ":2: expected a string or a number at column 10",
        ),
    ] {
        let message = read(text).map(|_| ()).unwrap_err().to_string();
        assert!(message.ends_with(wanted), "{message}");
    }
}

#[test]
fn invalid_utf_8_is_an_error_with_its_line() {
    let message = read(b"{\n\"\xff").map(|_| ()).unwrap_err().to_string();
    assert!(message.ends_with(":2: this is not UTF-8"), "{message}");
}

#[test]
fn a_file_without_questions_is_not_an_error() {
    let file = read(r#"{"version": 1.1, "data": []}"#).unwrap();
    assert!(file.questions.is_empty() && file.problems.is_empty());
}

#[test]
fn thousands_of_answers_in_one_long_context_are_found() {
    let context = "é ".repeat(200_000) + "end";
    let question = |id: usize| {
        let answers = json!([{"text": "end", "answer_start": 400_000}]);
        json!({"id": id.to_string(), "question": "q", "answers": answers})
    };
    let questions: Vec<Value> = (0..20_000).map(question).collect();
    // Where the context is walked for each answer, this takes minutes.
    let file = paragraph(&context, questions.into());
    assert_eq!((file.questions.len(), file.problems.len()), (20_000, 0));
}
