//! Compares Valetkey's verdict on generated tokens with those of `jose` (npm) and `PyJWT`. docs/identity.md explains,
//! reason by reason, each verdict that differs from one of them. Valetkey accepts a token that both refuse for one
//! reason: its `nbf` is `null`.
//!
//! `DIFFERENTIAL_TOKENS` is the number of tokens (2,000; `make test` sets 100,000), `DIFFERENTIAL_SEED` their seed.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test may fail loudly"
)]
#![allow(clippy::too_many_lines, reason = "a table of cases is one list")]

#[path = "../hostile/mod.rs"]
mod hostile;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use hostile::keys::Keys;
use hostile::{AUDIENCE, HS_ISSUER, PUBLIC_ISSUER, RAW_ISSUER, issuers, secret};
use serde_json::{Value, json};
use valetkey::token::{Issuer, Possession, Purpose, parse_issuers, verify};
use valetkey::types::time::UnixSeconds;

const NOW: i64 = 1_768_473_000;
const ACCEPTED: &str = "accepted";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn ours(token: &str, issuers: &[Issuer]) -> &'static str {
    match verify(token, issuers, Purpose::Access, Possession::None, UnixSeconds(NOW)) {
        Ok(_) => ACCEPTED,
        Err(refusal) => refusal.as_str(),
    }
}

/// Returns another library's verdict on each token of the file: `accepted`, or its own error. `None` if the program
/// cannot run.
fn theirs(program: &Path, script: &str, input: &Path) -> Option<Vec<String>> {
    let script = root().join("tests/differential").join(script);
    let output = Command::new(program).arg(script).arg(input).stderr(Stdio::inherit()).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

/// Returns the reasons that docs/identity.md explains: the first column of the table under `heading`.
fn explained(heading: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(root().join("docs/identity.md")).unwrap();
    let section = page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n#").next().unwrap();
    let first = |line: &str| line.strip_prefix("| `").and_then(|rest| rest.split('`').next()).map(str::to_owned);
    section.lines().filter_map(first).collect()
}

/// Returns whether the claim that `verdict` complains of is `null` in the token: the one thing that Valetkey reads more
/// leniently.
fn is_null_for(token: &str, verdict: &str) -> bool {
    let name = if verdict.ends_with("nbf") { "nbf" } else { "jti" };
    let claims = token.split('.').nth(1).and_then(|part| Base64UrlSafeNoPadding::decode_to_vec(part, None).ok());
    let claims: Option<Value> = claims.and_then(|text| serde_json::from_slice(&text).ok());
    claims.and_then(|claims| claims.get(name).map(Value::is_null)) == Some(true)
}

#[test]
fn every_difference_is_explained_and_only_null_is_accepted_here_alone() {
    let keys = Keys::generate();
    let issuers = parse_issuers(&issuers(&keys).to_string(), &|name| secret(&keys, name)).unwrap();
    let (count, seed) = (number("DIFFERENTIAL_TOKENS", 2_000), number("DIFFERENTIAL_SEED", 1));
    println!("DIFFERENTIAL_SEED={seed} DIFFERENTIAL_TOKENS={count}");
    let tokens = tokens::make(&keys, NOW, usize::try_from(count).unwrap(), seed);

    let input = std::env::temp_dir().join(format!("valetkey-differential-{}", std::process::id()));
    let secrets: Value = serde_json::from_str(&keys.secret()).unwrap();
    let setting = json!({"now": NOW, "audience": AUDIENCE, "leeway": 5, "issuers": [
        {"issuer": HS_ISSUER, "keys": secrets["keys"]}, {"issuer": PUBLIC_ISSUER, "keys": keys.public_set()["keys"]},
        {"issuer": RAW_ISSUER, "keys": [{"kty": "oct", "alg": "HS256", "k": hostile::keys::encode(keys.raw_secret())}]},
    ]});
    let lines: String = tokens.iter().fold(format!("{setting}\n"), |mut text, token| {
        writeln!(text, "{}", json!(token)).unwrap();
        text
    });
    std::fs::write(&input, lines).unwrap();
    let node = root().join("node_modules/.bin/node");
    let python = root().join(".tools/python/bin/python");
    let (jose, pyjwt) = std::thread::scope(|scope| {
        let jose = scope.spawn(|| theirs(&node, "with_jose.mjs", &input));
        let pyjwt = theirs(&python, "with_pyjwt.py", &input);
        (jose.join().unwrap(), pyjwt)
    });
    std::fs::remove_file(&input).unwrap();
    let (Some(jose), Some(pyjwt)) = (jose, pyjwt) else {
        assert!(std::env::var_os("CI").is_none(), "jose or PyJWT is missing: `make test` sets both up");
        eprintln!("SKIPPED: the comparison with jose and PyJWT, since one of them is missing (make test sets both up)");
        return;
    };
    assert_eq!((jose.len(), pyjwt.len()), (tokens.len(), tokens.len()));

    let (mut stricter, mut laxer) = (BTreeMap::<&str, u32>::new(), BTreeMap::<String, u32>::new());
    let mut alone = BTreeMap::<String, u32>::new();
    let (mut agreed, mut accepted) = (0_u32, 0_u32);
    let mut wrong = Vec::new();
    let (on_page, on_page_laxer, on_page_alone) = (
        explained("### Refused here, accepted by `jose` or `PyJWT`"),
        explained("### Accepted here, refused by one of them"),
        explained("### Accepted here, refused by both"),
    );
    for ((token, jose), pyjwt) in tokens.iter().zip(&jose).zip(&pyjwt) {
        let ours = ours(token, &issuers);
        let others = [("jose", jose), ("PyJWT", pyjwt)];
        let refusals: Vec<_> = others.iter().filter(|(_, verdict)| *verdict != ACCEPTED).collect();
        match (ours, refusals.as_slice()) {
            (ACCEPTED, []) => (agreed, accepted) = (agreed + 1, accepted + 1),
            (ACCEPTED, [(who, verdict)]) => {
                let class = format!("{who}: {verdict}");
                if !on_page_laxer.contains(&class) || !is_null_for(token, verdict) {
                    wrong.push(format!("accepted here, and by one alone ({class}): {token}"));
                }
                *laxer.entry(class).or_default() += 1;
            }
            (ACCEPTED, _) => {
                let class = format!("jose: {jose}, PyJWT: {pyjwt}");
                if !on_page_alone.contains(&class) || !is_null_for(token, jose) {
                    wrong.push(format!("accepted here alone ({class}): {token}"));
                }
                *alone.entry(class).or_default() += 1;
            }
            (_, [_, _]) => agreed += 1,
            (reason, _) => {
                if !on_page.contains(reason) {
                    wrong.push(format!("{reason} is not explained (jose: {jose}, PyJWT: {pyjwt}): {token}"));
                }
                *stricter.entry(reason).or_default() += 1;
            }
        }
    }
    println!("{} tokens: {agreed} alike, {accepted} of them accepted", tokens.len());
    println!("refused here, accepted by one of them: {stricter:?}");
    println!("accepted here, refused by one of them: {laxer:?}");
    println!("accepted here, refused by both: {alone:?}");
    assert!(wrong.is_empty(), "{} differences, the first of them: {:#?}", wrong.len(), &wrong[..wrong.len().min(8)]);
    // Guards against a comparison that proves nothing: some tokens must be accepted, and some verdicts must differ.
    assert!(u64::from(accepted) * 100 > count && u64::from(agreed) * 2 > count && !stricter.is_empty());
    if count >= 100_000 {
        let idle: Vec<_> = on_page.iter().filter(|reason| !stricter.contains_key(reason.as_str())).collect();
        let idle_laxer: Vec<_> = on_page_laxer.iter().filter(|class| !laxer.contains_key(*class)).collect();
        let idle_alone: Vec<_> = on_page_alone.iter().filter(|class| !alone.contains_key(*class)).collect();
        assert!(
            idle.is_empty() && idle_laxer.is_empty() && idle_alone.is_empty(),
            "explained, and never seen: {idle:?} {idle_laxer:?} {idle_alone:?}"
        );
    }
}

/// Without its script, the comparison would skip as if the library were missing.
#[test]
fn the_scripts_exist() {
    for script in ["with_jose.mjs", "with_pyjwt.py"] {
        assert!(PathBuf::from(root()).join("tests/differential").join(script).exists());
    }
}
