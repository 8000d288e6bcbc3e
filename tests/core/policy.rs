//! POLICY rule by rule: what it may contain, what a client sees of it, and which requests it allows.

use serde_json::{Value, json};
use valetkey::parse::problem::SettingProblem;
use valetkey::policy::{CheckedCreate, Policy, check_create, parse_policy};
use valetkey::token::{Grant, Scope};
use valetkey::types::credits::MicroCredits;
use valetkey::types::ids::UserKey;
use valetkey::types::model::ModelId;
use valetkey::types::time::UnixSeconds;
use valetkey::wire::rejection::{Code, Rejection};
use valetkey::wire::violation::{Rule, Violation};

const FILE: &str = "file_01jh0000000000000000000000";

/// Returns one input of each type; together they use every rule.
fn inputs() -> Value {
    json!({
        "prompt": {"type": "string", "required": true, "max_length": 10},
        "seed": {"type": "integer", "min": -9, "max": 9},
        "strength": {"type": "number", "min": 0.5, "max": 1, "default": 0.5},
        "fast": {"type": "boolean"},
        "shape": {"type": "string", "enum": ["1:1", "16:9"]},
        "image": {"type": "string", "format": "https-url"},
        "mask": {"type": "string", "format": "file"},
        "tags": {"type": "array", "items": {"type": "string", "max_length": 3}, "max_items": 2},
    })
}

fn plan() -> Value {
    json!({"requests_per_minute": 60, "predictions_per_minute": 10, "concurrent_predictions": 2, "daily_credits": "50"})
}

fn policy() -> Value {
    json!({
        "plans": {"default": plan()},
        "models": {"acme/model-x": {"credits": "2.5", "max_image_count": 4, "input": inputs()}},
    })
}

/// Parses the policy with the member at `pointer` set, or removed if `value` is null.
fn with(pointer: &str, value: Value) -> Result<Policy, Vec<SettingProblem>> {
    let mut policy = policy();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = policy.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => drop(members.remove(name).unwrap()),
        value => drop(members.insert(name.to_owned(), value)),
    }
    parse_policy(&policy.to_string())
}

fn problems(pointer: &str, value: &Value) -> Vec<String> {
    texts(with(pointer, value.clone()).err().unwrap_or_else(|| panic!("{pointer} accepts {value}")))
}

/// Returns the texts of problems, without the list of known members.
fn texts(problems: Vec<SettingProblem>) -> Vec<String> {
    let known = |text: String| text.split("; known are").next().unwrap().to_owned();
    problems.into_iter().map(|problem| known(problem.text)).collect()
}

/// Parses the policy with one more input of the model: `x`, with `rule`.
fn with_x(rule: &Value) -> Result<Policy, Vec<SettingProblem>> {
    with("/models/acme~1model-x/input/x", rule.clone())
}

/// Returns a grant of a user of the plan `default`, with all scopes and models.
pub(crate) fn grant() -> Grant {
    Grant {
        user: UserKey::new("i", "s"),
        is_own: false,
        plan: None,
        scopes: Scope::ALL.to_vec(),
        models: None,
        jti: None,
        caps: None,
        issued_at: UnixSeconds(0),
        expires_at: UnixSeconds(1),
    }
}

fn model() -> ModelId {
    ModelId::parse("acme/model-x").unwrap()
}

fn check(policy: &Policy, body: &Value) -> Result<CheckedCreate, Rejection> {
    check_create(policy, &grant(), &model(), body.as_object().cloned().unwrap())
}

/// Returns the value sent to the vendor for `value` under `rule`, or the rule that `value` breaks.
fn sent(rule: &Value, value: &Value) -> Result<Value, Violation> {
    let policy = with_x(rule).unwrap_or_else(|problems| panic!("{rule}: {problems:?}"));
    match check(&policy, &json!({"input": {"prompt": "p", "x": value}})) {
        Ok(spec) => Ok(spec.input["x"].clone()),
        Err(refused) => {
            assert_eq!((refused.code, refused.param.as_deref()), (Code::InvalidParameter, Some("input.x")));
            Err(*refused.violation.expect("a violation"))
        }
    }
}

/// Returns whether `rule` accepts `value`, unchanged. A refusal must name `input.x`.
fn accepts(rule: &Value, value: &Value) -> bool {
    sent(rule, value).is_ok_and(|sent| sent == *value)
}

/// Parses JSON text, for numbers whose notation matters.
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_client_sees_its_models_with_the_rules_as_written() {
    let policy = parse_policy(&policy().to_string()).unwrap();
    let view = json!({"id": "acme/model-x", "credits": "2.5", "input": inputs()});
    assert_eq!(policy.models_for(&grant()), [(model(), view)]);
}

#[test]
fn an_account_shows_the_limits_of_its_plan() {
    let mut pro = plan();
    (pro["daily_credits"], pro["max_waiting"]) = (json!("0.5"), json!(0));
    (pro["max_files"], pro["max_file_bytes"]) = (json!(3), json!(1_000_000));
    let policy = with("/plans/pro-1_b", pro).unwrap();
    let view = json!({"requests_per_minute": 60, "predictions_per_minute": 10, "concurrent_predictions": 2,
        "daily_credits": "0.5", "max_waiting": 0, "max_files": 3, "max_file_bytes": 1_000_000});
    assert_eq!(policy.plans["pro-1_b"].limits_view(), view);
    assert_eq!(policy.limits_for(&grant()).unwrap().limits_view()["daily_credits"], json!("50"));
}

#[test]
fn a_body_may_only_repeat_the_model_and_provider_of_its_path() {
    let policy = parse_policy(&policy().to_string()).unwrap();
    for (member, value, good) in [
        ("model", json!("acme/model-x"), true),
        ("model", json!("model-x"), true),
        ("model", json!("acme/model-y"), false),
        ("model", json!("model-y"), false),
        ("model", json!("acme"), false),
        ("model", json!(1), false),
        ("provider", json!("acme"), true),
        ("provider", json!("other"), false),
        ("provider", json!(null), false),
    ] {
        let mut body = json!({"input": {"prompt": "p"}});
        body[member] = value.clone();
        let refused = check(&policy, &body).err().map(|refused| (refused.code, refused.param));
        assert_eq!(refused, (!good).then(|| (Code::InvalidParameter, Some(member.to_owned()))), "{member} {value}");
    }
}

#[test]
fn a_member_without_a_rule_is_refused_and_echoed_only_if_plain() {
    let policy = parse_policy(&policy().to_string()).unwrap();
    let refused = |body: &Value| {
        let refused = check(&policy, body).unwrap_err();
        assert_eq!(refused.code, Code::UnsupportedParameter, "{body}");
        refused.param
    };
    let (longest, longer) = ("n".repeat(64), "n".repeat(65));
    for (name, is_shown) in
        [("webhook", true), ("aB-3_x", true), (longest.as_str(), true), ("a b", false), ("", false), (&longer, false)]
    {
        let mut body = json!({"input": {"prompt": "p"}});
        body[name] = json!(1);
        assert_eq!(refused(&body), is_shown.then(|| name.to_owned()));
        let mut body = json!({"input": {"prompt": "p"}});
        body["input"][name] = json!(1);
        assert_eq!(refused(&body), is_shown.then(|| format!("input.{name}")));
    }
}

#[test]
fn image_count_ranges_from_one_to_the_maximum_of_the_model() {
    let policy = parse_policy(&policy().to_string()).unwrap();
    let body = |count: &Value| json!({"input": {"prompt": "p"}, "image_count": count});
    for (count, credits) in [(1, "2.5"), (4, "10")] {
        let spec = check(&policy, &body(&json!(count))).unwrap();
        assert_eq!((spec.image_count, spec.credits), (count, MicroCredits::parse(credits).unwrap()));
    }
    assert_eq!(check(&policy, &json!({"input": {"prompt": "p"}})).unwrap().image_count, 1);
    for same in ["2", "2.0", "2e0"] {
        assert_eq!(check(&policy, &body(&json(same))).unwrap().image_count, 2, "{same}");
    }
    let refused = |body: &Value| {
        let refused = check(&policy, body).unwrap_err();
        (refused.param.expect("a parameter"), *refused.violation.expect("a violation"))
    };
    for (bad, violation) in [
        (json!(0), Violation::new(Rule::Min, 1)),
        (json!(-1), Violation::new(Rule::Min, 1)),
        (json!(-0.0), Violation::new(Rule::Min, 1)),
        (json!(5), Violation::new(Rule::Max, 4)),
        (json!(4_294_967_297_u64), Violation::new(Rule::Max, 4)),
        (json!(1.5), Violation::new(Rule::Type, "integer")),
        (json!("1"), Violation::new(Rule::Type, "integer")),
        (json!(null), Violation::new(Rule::Type, "integer")),
    ] {
        assert_eq!(refused(&body(&bad)), ("image_count".to_owned(), violation), "{bad}");
    }
    assert_eq!(refused(&json!({})), ("input".to_owned(), Violation::plain(Rule::Required)));
    assert_eq!(refused(&json!({"input": []})), ("input".to_owned(), Violation::new(Rule::Type, "object")));
}

#[test]
fn each_input_type_accepts_only_its_values_within_bounds() {
    let integer = json!({"type": "integer"});
    for good in [json!(0), json!(-1), json!(i64::MIN), json!(u64::MAX)] {
        assert!(accepts(&integer, &good), "{good}");
    }
    for bad in [json!(1.5), json!("1"), json!(true), json!(null), json!([1]), json!(1e17)] {
        assert_eq!(sent(&integer, &bad), Err(Violation::new(Rule::Type, "integer")), "{bad}");
    }
    let bounded = json!({"type": "integer", "min": -2, "max": 3});
    for (value, good) in [(-3, false), (-2, true), (3, true), (4, false)] {
        assert_eq!(accepts(&bounded, &json!(value)), good, "{value}");
    }
    let number = json!({"type": "number", "min": 0.5, "max": 0.5});
    for (value, good) in [(json!(0.5), true), (json!(0.49), false), (json!(0.51), false), (json!("0.5"), false)] {
        assert_eq!(accepts(&number, &value), good, "{value}");
    }
    let boolean = json!({"type": "boolean"});
    assert!(accepts(&boolean, &json!(false)) && !accepts(&boolean, &json!(0)) && !accepts(&boolean, &json!("false")));
    let text = json!({"type": "string", "max_length": 3});
    for (value, good) in [("", true), ("ab\u{1f600}", true), ("abcd", false), ("a\0", false)] {
        assert_eq!(accepts(&text, &json!(value)), good, "{value:?}");
    }
    let list = json!({"type": "array", "items": {"type": "integer", "max": 5}, "max_items": 2});
    for (value, good) in [
        (json!([]), true),
        (json!([1, 5]), true),
        (json!([1, 6]), false),
        (json!([1, 2, 3]), false),
        (json!([1, "2"]), false),
        (json!(1), false),
    ] {
        assert_eq!(accepts(&list, &value), good, "{value}");
    }
    let choice = json!({"type": "integer", "max": 9, "enum": [1, 2]});
    for (value, good) in [(json!(1), true), (json!(3), false), (json!("1"), false)] {
        assert_eq!(accepts(&choice, &value), good, "{value}");
    }
}

#[test]
fn numbers_are_compared_by_value_and_sent_in_one_spelling() {
    let integer = json!({"type": "integer", "min": 0, "max": 1000});
    for (text, expected) in
        [("28.0", "28"), ("1e3", "1000"), ("1.0E+3", "1000"), ("-0", "0"), ("-0.0", "0"), ("7", "7")]
    {
        assert_eq!(sent(&integer, &json(text)).unwrap().to_string(), expected, "{text}");
    }
    assert_eq!(sent(&integer, &json("1000.5")), Err(Violation::new(Rule::Type, "integer")));
    assert_eq!(sent(&integer, &json("1001.0")), Err(Violation::new(Rule::Max, 1000)));
    assert_eq!(sent(&integer, &json("-1e0")), Err(Violation::new(Rule::Min, 0)));
    let number = json!({"type": "number"});
    for (text, expected) in [("28.0", "28"), ("5e-1", "0.5"), ("-0", "0"), ("1e300", "1e+300")] {
        assert_eq!(sent(&number, &json(text)).unwrap().to_string(), expected, "{text}");
    }
    // The vendor is sent an enum value as POLICY spells it.
    let rule: Value = json(r#"{"type":"number","enum":[0.5,1,1.5,2.0]}"#);
    for (text, expected) in [("1.0", "1"), ("1", "1"), ("2", "2.0"), ("2e0", "2.0"), ("0.50", "0.5")] {
        assert_eq!(sent(&rule, &json(text)).unwrap().to_string(), expected, "{text}");
    }
    assert_eq!(sent(&rule, &json("1.25")), Err(Violation::new(Rule::Enum, json("[0.5,1,1.5,2.0]"))));
    let integers = json(r#"{"type":"integer","enum":[1.0,2]}"#);
    assert_eq!(sent(&integers, &json("1")).unwrap().to_string(), "1.0");
    let list = json(r#"{"type":"array","items":{"type":"number"},"enum":[[1,2],[3,4.0]]}"#);
    assert_eq!(sent(&list, &json("[3.0,4]")).unwrap().to_string(), "[3,4.0]");
    assert!(sent(&list, &json("[2,1]")).is_err());
    let items = json(r#"{"type":"array","items":{"type":"integer"}}"#);
    assert_eq!(sent(&items, &json("[1.0,-0,2]")).unwrap().to_string(), "[1,0,2]");
}

#[test]
fn the_numbers_of_the_policy_itself_are_compared_by_value() {
    let policy = with("/plans/default/requests_per_minute", json("60.0")).unwrap();
    assert_eq!(policy.plans["default"].requests_per_minute, 60);
    let rule = json(r#"{"type":"integer","min":1.0,"max":9,"default":2.0}"#);
    let policy = with_x(&rule).unwrap();
    assert_eq!(check(&policy, &json!({"input": {"prompt": "p"}})).unwrap().input["x"].to_string(), "2");
    assert!(with("/plans/default/requests_per_minute", json("60.5")).is_err());
}

#[test]
fn a_refused_input_names_the_rule_and_what_it_allows() {
    let longest = json!({"type": "string", "max_length": 3});
    let list = json!({"type": "array", "items": {"type": "integer", "max": 5}, "max_items": 2});
    for (rule, value, violation) in [
        (
            json!({"type": "string", "enum": ["1:1", "16:9"]}),
            json!("4:3"),
            Violation::new(Rule::Enum, vec!["1:1", "16:9"]),
        ),
        (json!({"type": "string", "enum": ["1:1"]}), json!(1), Violation::new(Rule::Type, "string")),
        (json!({"type": "boolean"}), json!("true"), Violation::new(Rule::Type, "boolean")),
        (json!({"type": "number", "min": 0.5}), json!(0.4), Violation::new(Rule::Min, 0.5)),
        (json!({"type": "number", "max": 1}), json!(1.01), Violation::new(Rule::Max, 1)),
        (longest.clone(), json!("abcd"), Violation::new(Rule::MaxLength, 3)),
        (longest, json!("a\0"), Violation::plain(Rule::Format)),
        (list.clone(), json!([1, 2, 3]), Violation::new(Rule::MaxItems, 2)),
        (list.clone(), json!([6]), Violation::new(Rule::Max, 5)),
        (list.clone(), json!(["1"]), Violation::new(Rule::Type, "integer")),
        (list, json!({}), Violation::new(Rule::Type, "array")),
        (json!({"type": "string", "format": "https-url"}), json!("x"), Violation::new(Rule::Format, "https-url")),
        (json!({"type": "string", "format": "file"}), json!("x"), Violation::new(Rule::Format, "file")),
    ] {
        assert_eq!(sent(&rule, &value), Err(violation), "{rule} {value}");
    }
    let policy = with_x(&json!({"type": "integer", "required": true})).unwrap();
    let refused = check(&policy, &json!({"input": {"prompt": "p"}})).unwrap_err();
    assert_eq!(refused.violation.as_deref(), Some(&Violation::plain(Rule::Required)));
    let refused = check(&policy, &json!({"input": {"prompt": "p", "x": 1}, "model": "other"})).unwrap_err();
    assert_eq!(refused.violation.as_deref(), Some(&Violation::new(Rule::Enum, vec!["acme/model-x", "model-x"])));
}

#[test]
fn a_text_or_a_list_of_a_client_has_a_length_without_a_rule_too() {
    let text = json!({"type": "string"});
    assert!(accepts(&text, &json!("é".repeat(4_000))));
    assert_eq!(sent(&text, &json!("x".repeat(4_001))), Err(Violation::new(Rule::MaxLength, 4_000)));
    let longer = json!({"type": "string", "max_length": 5_000});
    assert!(accepts(&longer, &json!("x".repeat(5_000))));
    let list = json!({"type": "array", "items": {"type": "integer"}});
    assert!(accepts(&list, &json!(vec![1; 16])));
    assert_eq!(sent(&list, &json!(vec![1; 17])), Err(Violation::new(Rule::MaxItems, 16)));
    let more = json!({"type": "array", "items": {"type": "integer"}, "max_items": 20});
    assert!(accepts(&more, &json!(vec![1; 20])));
    let texts = json!({"type": "array", "items": {"type": "string"}});
    assert_eq!(sent(&texts, &json!(["x".repeat(4_001)])), Err(Violation::new(Rule::MaxLength, 4_000)));
}

#[test]
fn the_policys_own_enum_and_default_may_be_longer_than_what_clients_send() {
    let long = "x".repeat(4_001);
    let rule = json!({"type": "string", "enum": [long, "short"]});
    assert!(accepts(&rule, &json!(long)), "a client may send what the enum lists");
    let rule = json!({"type": "array", "items": {"type": "string"}, "default": vec![long.clone(); 17]});
    let policy = with_x(&rule).unwrap();
    let spec = check(&policy, &json!({"input": {"prompt": "p"}})).unwrap();
    assert_eq!(spec.input["x"], json!(vec![long; 17]));
    let rule = json!({"type": "array", "items": {"type": "integer"}, "enum": [vec![1; 30]]});
    assert!(accepts(&rule, &json!(vec![1; 30])));
    assert_eq!(with_x(&rule).unwrap().most_items, 30);
    assert_eq!(with_x(&json!({"type": "integer"})).unwrap().most_items, 2);
}

#[test]
fn a_plain_text_is_never_the_id_of_a_file() {
    let plain = json!({"type": "string"});
    for like in ["file_abc123", FILE] {
        assert_eq!(sent(&plain, &json!(like)), Err(Violation::plain(Rule::Format)), "{like}");
        let items = json!({"type": "array", "items": {"type": "string"}});
        assert_eq!(sent(&items, &json!(["x", like])), Err(Violation::plain(Rule::Format)), "{like}");
    }
    for other in ["file_abcdef", "file_abc12", "see file_abc123", "file_abc123.png", "FILE_abc123"] {
        assert!(accepts(&plain, &json!(other)), "{other}");
    }
    // An operator may list the id of a file of the deployment.
    assert!(accepts(&json!({"type": "string", "enum": ["file_abc123"]}), &json!("file_abc123")));
    assert!(with_x(&json!({"type": "string", "default": "file_abc123"})).is_ok());
    assert!(accepts(&json!({"type": "string", "format": "file"}), &json!(FILE)));
}

#[test]
fn a_url_is_https_on_a_public_host_and_passed_on_unchanged() {
    let rule = json!({"type": "string", "format": "https-url"});
    for good in
        ["https://a.example", "https://a.example:8443/b%20c?d=e#f", "https://local.example/", "https://arpa.example"]
    {
        assert!(accepts(&rule, &json!(good)), "{good}");
    }
    for bad in [
        "",
        "a.example",
        "https://",
        "http://a.example/",
        "ftp://a.example/",
        "data:text/plain,a.example",
        "HTTPS://a.example/",
        "https:a.example",
        " https://a.example/",
        "https://user@a.example/",
        "https://user:password@a.example/",
        "https://:password@a.example/",
        "https://a.example\\b",
        "https://a.exam\nple/",
        "https://a.exam\rple/",
        "https://a.exam\tple/",
        "https://a.example/b c",
        "https://localhost/",
        "https://a.localhost/",
        "https://a.local/",
        "https://a.b.internal/",
        "https://a.internal./",
        "https://1.0.0.10.in-addr.arpa/",
        "https://intranet/",
        "https://8.8.8.8/",
        "https://0x7f.1/",
        "https://[2001:db8::1]/",
    ] {
        assert!(!accepts(&rule, &json!(bad)), "{bad:?}");
    }
}

#[test]
fn a_file_id_counts_as_a_file_only_under_a_file_rule() {
    let policy = with_x(&json!({"type": "string", "enum": [FILE]})).unwrap();
    let spec = check(&policy, &json!({"input": {"prompt": "p", "x": FILE}})).unwrap();
    assert_eq!(spec.files, []);
    let spec = check(&policy, &json!({"input": {"prompt": "p", "x": FILE, "mask": FILE}})).unwrap();
    assert_eq!(spec.files.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(), ["/mask"]);
}

#[test]
fn consistent_rules_are_accepted() {
    for rule in [
        json!({"type": "integer", "min": 2, "max": 2}),
        json!({"type": "integer", "min": 1, "max": 3, "enum": [1, 3], "default": 3}),
        json!({"type": "integer", "required": false, "default": 1}),
        json!({"type": "string", "format": "file", "required": true}),
        json!({"type": "array", "items": {"type": "boolean"}, "default": [true]}),
    ] {
        assert!(with_x(&rule).is_ok(), "{rule}");
    }
}

#[test]
fn contradictory_rules_are_reported_by_name() {
    for (rule, expected) in [
        (json!({"type": "integer", "min": 3, "max": 2}), "x.min is above max"),
        (json!({"type": "integer", "max": 2, "enum": [2, 3]}), "x.enum has a value that the other rules refuse"),
        (json!({"type": "string", "enum": []}), "x.enum is not a list of values"),
        (json!({"type": "integer", "default": "1"}), "x.default is refused by the rules"),
        (json!({"type": "integer", "enum": [1], "default": 2}), "x.default is refused by the rules"),
        (
            json!({"type": "integer", "required": true, "default": 1}),
            "x.default is never used, since the input is required",
        ),
        (json!({"type": "boolean", "max": 1}), "x.max does not go with this type"),
        (json!({"type": "integer", "max_length": 1}), "x.max_length does not go with this type"),
        (json!({"type": "string", "items": {}}), "x.items does not go with this type"),
        (json!({"type": "array"}), "x.items is missing, and an array needs it"),
        (json!({"type": "integer", "required": 1}), "x.required is not true or false"),
        (json!({"type": "integer", "min": "1"}), "x.min is not a number"),
        (json!({"type": "string", "max_length": -1}), "x.max_length is not a whole number"),
        (json!({"type": "text"}), "x.type is not string, integer, number, boolean or array"),
        (json!({}), "x.type is missing"),
        (json!(1), "x is not an object"),
    ] {
        let problems = texts(with_x(&rule).unwrap_err());
        assert!(problems.contains(&format!("models.acme/model-x.input.{expected}")), "{rule}: {problems:?}");
    }
    for items in [
        json!({"type": "array", "items": {"type": "string"}}),
        json!({"type": "string", "required": true}),
        json!({"type": "string", "default": "d"}),
    ] {
        let expected = "models.acme/model-x.input.x.items is an array, required or has a default, which items cannot";
        assert_eq!(texts(with_x(&json!({"type": "array", "items": items})).unwrap_err()), [expected], "{items}");
    }
}

#[test]
fn each_policy_problem_names_its_path_and_its_rule() {
    let name = "models.acme/model-x";
    let model = "/models/acme~1model-x";
    let listed = "plans.default.models is not [\"*\"] or a list of owner/model names";
    let unpriced = |index| format!("plans.default.models[{index}] is not one of the models in models");
    let share = "plans.default.pool_waiting_share is not a number above 0 and at most 1";
    let bytes = "plans.default.max_file_bytes is not a whole number from 0 to 1000000000000";
    let leaves_nothing = "key.expected_other_requests_per_minute leaves nothing of requests_per_minute";
    let credits = "is not a decimal string such as \"2.5\"";
    for (pointer, value, expected) in [
        ("/plans", json!(null), vec!["plans is missing".to_owned()]),
        ("/plans", json!([]), vec!["plans is not an object".to_owned()]),
        ("/plans/default", json!(null), vec!["plans.default is missing".to_owned()]),
        ("/models", json!(null), vec!["models is missing".to_owned()]),
        ("/models", json!(1), vec!["models is not an object".to_owned()]),
        (
            "/models/acme",
            json!({"credits": "1"}),
            vec![
                "models(entry 0) has a name that is not owner/model in lower case".to_owned(),
                "models(entry 0).input is missing".to_owned(),
            ],
        ),
        ("/plans/default", json!(7), vec!["plans.default is not an object".to_owned()]),
        ("/extra", json!(1), vec!["extra is not a setting".to_owned()]),
        ("/plans/default/weigth", json!(1), vec!["plans.default.weigth is not a setting".to_owned()]),
        ("/plans/default/sk_SECRET", json!(1), vec!["plans.default(entry 4) is not a setting".to_owned()]),
        (
            "/plans/default/requests_per_minute",
            json!(null),
            vec!["plans.default.requests_per_minute is missing".to_owned()],
        ),
        (
            "/plans/default/requests_per_minute",
            json!(0),
            vec!["plans.default.requests_per_minute is not a whole number from 1 to 1000000".to_owned()],
        ),
        ("/plans/default/daily_credits", json!(null), vec!["plans.default.daily_credits is missing".to_owned()]),
        ("/plans/default/daily_credits", json!(50), vec![format!("plans.default.daily_credits {credits}")]),
        (
            "/plans/default/max_files",
            json!(-1),
            vec!["plans.default.max_files is not a whole number from 0 to 1000000".to_owned()],
        ),
        ("/plans/default/max_file_bytes", json!("1"), vec![bytes.to_owned()]),
        (
            "/plans/default/pool_weight",
            json!(0),
            vec!["plans.default.pool_weight is not a whole number from 1 to 1000".to_owned()],
        ),
        (
            "/plans/default/pool_concurrent_predictions",
            json!("2"),
            vec!["plans.default.pool_concurrent_predictions is not a whole number from 1 to 1000000".to_owned()],
        ),
        ("/plans/default/max_file_bytes", json!(1_000_000_000_001_u64), vec![bytes.to_owned()]),
        ("/plans/default/pool_waiting_share", json!(0), vec![share.to_owned()]),
        ("/plans/default/pool_waiting_share", json!(1.01), vec![share.to_owned()]),
        ("/plans/default/pool_waiting_share", json!(-0.5), vec![share.to_owned()]),
        ("/plans/default/models", json!([]), vec![listed.to_owned()]),
        ("/plans/default/models", json!("*"), vec![listed.to_owned()]),
        ("/plans/default/models", json!(["acme/model-x", 1]), vec![unpriced(1)]),
        ("/plans/default/models", json!(["acme/model-y"]), vec![unpriced(0)]),
        ("/plans/default/models", json!(["acme/model-x", "*"]), vec![unpriced(1)]),
        (
            "/plans/default/models",
            json!(["acme/model-y", "acme/model-x", "acme/model-z"]),
            vec![unpriced(0), unpriced(2)],
        ),
        (&format!("{model}/input"), json!(null), vec![format!("{name}.input is missing")]),
        (&format!("{model}/input"), json!([]), vec![format!("{name}.input is not an object")]),
        (
            &format!("{model}/input/a b"),
            json!({"type": "string"}),
            vec![format!("{name}.input(entry 0) has a name that is not 1 to 64 of A-Z, a-z, 0-9, _ and -")],
        ),
        (&format!("{model}/credits"), json!(null), vec![format!("{name}.credits is missing")]),
        (&format!("{model}/credits"), json!("-1"), vec![format!("{name}.credits {credits}")]),
        (
            &format!("{model}/max_image_count"),
            json!(65),
            vec![format!("{name}.max_image_count is not a whole number from 1 to 64")],
        ),
        (
            "/key",
            json!({"requests_per_minute": 10, "expected_other_requests_per_minute": 10}),
            vec![leaves_nothing.to_owned()],
        ),
        (
            "/key",
            json!({"requests_per_minute": 10, "expected_other_requests_per_minute": 11}),
            vec![leaves_nothing.to_owned()],
        ),
        (
            "/key",
            json!({"queue": {"max_wait_secs": 0}}),
            vec!["key.queue.max_wait_secs is not a whole number from 1 to 3600".to_owned()],
        ),
    ] {
        assert_eq!(problems(pointer, &value), expected, "{pointer} {value}");
    }
    for name in ["UPPER", "", "a b", "a.b", &"p".repeat(33)] {
        let pointer = format!("/plans/{name}");
        let expected =
            ["0", "1"].map(|entry| format!("plans(entry {entry}) has a name that is not 1 to 32 of a-z, 0-9, _ and -"));
        assert_eq!(problems(&pointer, &plan()), [&expected[usize::from(name.starts_with('p'))][..]]);
    }
}

#[test]
fn the_guest_plan_must_have_pool_limits() {
    let mut guest = plan();
    for (member, value) in [("pool_daily_credits", json!("5")), ("pool_waiting_share", json!(0.25))] {
        let missing = format!("plans.guest.{member} is missing, and a plan named guest must have it");
        assert!(problems("/plans/guest", &guest).contains(&missing));
        guest[member] = json!(null);
        assert!(problems("/plans/guest", &guest).contains(&missing));
        guest[member] = value;
    }
    let policy = with("/plans/guest", guest).unwrap();
    // All guests are one entry in the queue, with half of the five slots.
    let guest = &policy.plans["guest"];
    assert_eq!((guest.pool_weight, guest.pool_concurrent_predictions), (Some(guest.weight), Some(2)));
    assert_eq!(policy.plans["guest"].pool_daily_credits, MicroCredits::parse("5"));
}

#[test]
fn numbers_and_lists_are_read_as_written() {
    let policy = with("/plans/default/models", json!(["*"])).unwrap();
    assert_eq!(policy.plans["default"].models, None);
    let policy = with("/plans/default/models", json!(["acme/model-x"])).unwrap();
    assert_eq!(policy.plans["default"].models, Some(vec![model()]));
    let policy = with("/plans/default/pool_waiting_share", json!(1)).unwrap();
    assert!((policy.plans["default"].pool_waiting_share - 1.0).abs() < f64::EPSILON);
    let plan = &policy.plans["default"];
    let numbers = (plan.requests_per_minute, plan.predictions_per_minute, plan.concurrent_predictions, plan.weight);
    assert_eq!((numbers, plan.max_waiting), ((60, 10, 2, 1), 20));
    let key = json!({"requests_per_minute": 10, "concurrent_predictions": 3, "daily_credits": "7.5",
        "expected_other_requests_per_minute": 9, "queue": {"max_waiting": 4, "max_wait_secs": 30}});
    let key = with("/key", key).unwrap().key;
    assert_eq!((key.requests_per_minute, key.expected_other_requests_per_minute), (10, 9));
    assert_eq!((key.concurrent_predictions, key.daily_credits), (3, MicroCredits::parse("7.5")));
    assert_eq!((key.max_waiting, key.max_wait_secs), (4, 30));
}
