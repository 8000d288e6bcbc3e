//! Tokens that an app's own backend signs. Runs each code sample of docs/identity.md; the Worker, with the settings
//! beside the sample, must accept the token that it prints.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ct_codecs::{Base64UrlSafeNoPadding, Decoder as _};
use serde_json::{Value, json};

use crate::harness::{Options, SECRET, Stack, policy, root};
use crate::http::{Request, Response};
use crate::steps::{assert_refused, at_once, job_id, wait_until};

const SECRET_NAME: &str = "APP_TOKEN_SECRET";
const FLUX: &str = "/v1/black-forest-labs/flux-kontext-max/predictions";

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the code blocks in a language under a heading of docs/identity.md, up to the next heading.
fn blocks(heading: &str, language: &str) -> Vec<String> {
    let text = read("docs/identity.md");
    let part = text.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no heading {heading}"));
    let part = part.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
    let fence = format!("```{language}\n");
    part.split(&fence).skip(1).map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

/// Returns the only such block.
fn block(heading: &str, language: &str) -> String {
    let mut found = blocks(heading, language);
    assert_eq!(found.len(), 1, "{language} blocks under {heading}");
    found.remove(0)
}

fn settings(heading: &str) -> Value {
    serde_json::from_str(&block(heading, "json")).unwrap()
}

/// Returns a stack whose Worker trusts this issuer and whose vendor has no limits.
fn stack_of(issuer: &Value) -> Stack {
    let mut policy = policy();
    policy["models"]["black-forest-labs/flux-kontext-max"] = policy["models"]["acme/model-x"].clone();
    let settings = vec![
        ("ISSUERS", Some(json!([issuer]).to_string())),
        (SECRET_NAME, Some(SECRET.to_owned())),
        ("POLICY", Some(policy.to_string())),
    ];
    Stack::start(&Options { settings, ..Options::default() })
}

/// Creates a directory with these files. It is deleted with the stack.
fn directory_of(stack: &Stack, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let directory = stack.directory.join(name);
    fs::create_dir_all(&directory).unwrap();
    for (file, text) in files {
        fs::write(directory.join(file), text).unwrap();
    }
    directory
}

/// Runs a program and returns its output, trimmed.
fn output_of(command: &mut Command) -> String {
    let output = command.env(SECRET_NAME, SECRET).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn node(directory: &Path, file: &str) -> Command {
    let mut command = Command::new(root().join("node_modules/.bin/node"));
    command.current_dir(directory).arg(file);
    command
}

/// Returns `found`, whether a language is installed. If it is not, prints that the test is skipped, or fails in CI.
fn is_there(language: &str, found: bool, how: &str) -> bool {
    if !found {
        assert!(std::env::var_os("CI").is_none_or(|value| value.is_empty()), "CI has no {language}: {how}");
        // Written directly: the test harness captures `eprintln!` of a test that passes.
        let line = format!("SKIPPED: docs/identity.md's {language} code is not run: {how}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    found
}

fn claims_of(token: &str) -> Value {
    let claims = Base64UrlSafeNoPadding::decode_to_vec(token.split('.').nth(1).unwrap(), None).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

/// Checks what every `token_for` must do: each token lives five minutes, has its own `jti`, and names user and plan.
fn assert_mints(stack: &Stack, mint: impl Fn(&str, &str) -> String) {
    let (token, another) = (mint("alice", "poor"), mint("alice", "poor"));
    let (claims, other_claims) = (claims_of(&token), claims_of(&another));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert!(claims["jti"].as_str().unwrap().len() >= 20 && claims["jti"] != other_claims["jti"], "{claims}");
    let account = stack.get(&token, "/v1/account");
    assert_eq!(account.status, 200, "{}", account.text());
    assert_eq!(account.json()["plan"], "poor");
    let created = stack.create(&token);
    assert!([201, 202].contains(&created.status), "{}", created.text());
    let target = format!("/v1/predictions/{}", job_id(&created));
    assert_eq!(stack.get(&another, &target).status, 200, "both are of one user");
    // A subject that JSON must escape stays the same subject.
    let bob = mint("bob \"\\ ü <b>", "default");
    assert_eq!(claims_of(&bob)["sub"], "bob \"\\ ü <b>");
    assert_eq!(stack.get(&bob, "/v1/account").json()["plan"], "default");
    assert_eq!(stack.get(&bob, &target).status, 404, "another user");
}

#[test]
fn a_token_of_the_node_code_is_accepted() {
    let stack = stack_of(&settings("## Your own backend signs"));
    let main = "import { tokenFor } from './tokens.mjs'; console.log(tokenFor(...process.argv.slice(2)));";
    let files = [("tokens.mjs", &*block("### Node", "js")), ("main.mjs", main)];
    let directory = directory_of(&stack, "node", &files);
    assert_mints(&stack, |user, plan| output_of(node(&directory, "main.mjs").args([user, plan])));
}

#[test]
fn a_token_of_the_jose_code_is_taken() {
    let stack = stack_of(&settings("## Your own backend signs"));
    let code = block("### Node with jose", "js");
    let main = "import { tokenFor } from './tokens.mjs'; console.log(await tokenFor('alice'));";
    let directory = directory_of(&stack, "jose", &[("tokens.mjs", &code), ("main.mjs", main)]);
    std::os::unix::fs::symlink(root().join("node_modules"), directory.join("node_modules")).unwrap();
    let token = output_of(&mut node(&directory, "main.mjs"));
    assert_eq!(stack.get(&token, "/v1/account").json()["plan"], "default");
}

#[test]
fn a_token_of_the_python_code_is_accepted() {
    let python = root().join(".tools/python/bin/python3");
    if !is_there("Python", root().join(".tools/python/.ready").exists(), "`make test` sets it up where python3 is") {
        return;
    }
    let stack = stack_of(&settings("## Your own backend signs"));
    let main = "import sys, tokens; print(tokens.token_for(*sys.argv[1:]))";
    let files = [("tokens.py", &*block("### Python", "python")), ("main.py", main)];
    let directory = directory_of(&stack, "python", &files);
    assert_mints(&stack, |user, plan| {
        let mut command = Command::new(&python);
        output_of(command.current_dir(&directory).args(["-W", "error", "main.py", user, plan]))
    });
}

#[test]
fn a_token_of_the_go_code_is_accepted() {
    let found = Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    if !is_there("Go", found, "`make go` installs it on Debian") {
        return;
    }
    let stack = stack_of(&settings("## Your own backend signs"));
    let main = "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\ttoken, err := TokenFor(os.Args[1], \
                os.Args[2])\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\tfmt.Println(token)\n}\n";
    let files = [("tokens.go", &*block("### Go", "go")), ("main.go", main)];
    let directory = directory_of(&stack, "go", &files);
    let mut vet = Command::new("go");
    output_of(vet.current_dir(&directory).env("GO111MODULE", "off").args(["vet", "tokens.go", "main.go"]));
    let mut build = Command::new("go");
    build.current_dir(&directory).env("GO111MODULE", "off");
    output_of(build.args(["build", "-o", "mint", "tokens.go", "main.go"]));
    assert_mints(&stack, |user, plan| output_of(Command::new(directory.join("mint")).args([user, plan])));
}

#[test]
fn a_token_of_the_rust_code_is_accepted() {
    assert_eq!(
        block("### Rust", "rust"),
        read("examples/mint/token.rs"),
        "docs/identity.md shows examples/mint/token.rs"
    );
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(root()).args(["build", "--quiet", "--example", "mint", "--message-format", "json"]);
    let messages = output_of(&mut build);
    let program_of = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let program = messages.lines().find_map(program_of).unwrap();
    let stack = stack_of(&settings("## Your own backend signs"));
    assert_mints(&stack, |user, plan| output_of(Command::new(&program).args([user, plan])));
}

const KEY_PAIR: &str = "### Without a shared secret";

/// Returns an EdDSA sample changed to ES256, with the replacements from the page's last paragraph.
fn with_es256(text: &str) -> String {
    let page = read("docs/identity.md");
    let paragraph = page.split("\nWhere ES256 is wanted").nth(1).unwrap().split("\n\n").next().unwrap();
    let said = |start: &str| {
        let found = paragraph.split('`').find(|code| code.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start}")).to_owned()
    };
    text.replace("EdDSA", "ES256")
        .replace("generateKeyPairSync(\"ed25519\")", &said("generateKeyPairSync("))
        .replace("signWith(null, Buffer.from(input), key)", &said("signWith("))
}

/// Runs the command that generates a key pair. Returns the public key set that it printed and the private key that it
/// wrote.
fn key_pair(directory: &Path, command: &str) -> (Value, String) {
    fs::create_dir_all(directory).unwrap();
    let path = format!("{}:{}", root().join("node_modules/.bin").display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    let printed = output_of(shell.current_dir(directory).env("PATH", path).args(["-c", command]));
    let private = fs::read_to_string(directory.join("app-token-key.pem")).unwrap();
    fs::remove_dir_all(directory).unwrap();
    (serde_json::from_str(&printed).unwrap(), private)
}

fn assert_key_pair(algorithm: &str, variant: impl Fn(&str) -> String) {
    let directory = std::env::temp_dir().join(format!("valetkey-minting-{}-{algorithm}", std::process::id()));
    let (public, private) = key_pair(&directory, &variant(&block(KEY_PAIR, "sh")));
    let mut issuer: Value = serde_json::from_str(&variant(&block(KEY_PAIR, "json"))).unwrap();
    assert_eq!(issuer["algorithms"], json!([algorithm]));
    issuer["keys"]["jwks"] = public;
    let stack = stack_of(&issuer);
    let main = "import { tokenFor } from './tokens.mjs'; console.log(tokenFor(...process.argv.slice(2)));";
    let files = [("tokens.mjs", &*variant(&block(KEY_PAIR, "js"))), ("main.mjs", main)];
    let directory = directory_of(&stack, "key-pair", &files);
    assert_mints(&stack, |user, plan| {
        output_of(node(&directory, "main.mjs").env("APP_TOKEN_KEY", &private).args([user, plan]))
    });
    // The same claims signed with the shared secret are refused.
    let directory = directory_of(&stack, "node", &[("tokens.mjs", &block("### Node", "js")), ("main.mjs", main)]);
    let token = output_of(node(&directory, "main.mjs").args(["alice", "poor"]));
    assert_refused(&stack.get(&token, "/v1/account"), 401, "authentication_error", "invalid_token");
}

#[test]
fn a_token_of_a_key_pair_is_accepted_by_a_worker_with_only_the_public_key() {
    // The page shows the output of the command, except for the key.
    let directory = std::env::temp_dir().join(format!("valetkey-minting-{}", std::process::id()));
    let (mut public, _) = key_pair(&directory, &block(KEY_PAIR, "sh"));
    public["keys"][0]["x"] = json!("…");
    assert_eq!(settings(KEY_PAIR)["keys"]["jwks"], public);
    assert_key_pair("EdDSA", str::to_owned);
    assert_key_pair("ES256", with_es256);
}

/// Returns a stack, and a function that mints a token for a link.
fn links() -> (Stack, impl Fn(&str) -> String) {
    let stack = stack_of(&settings("## Your own backend signs"));
    let main = "import { tokenForLink } from './links.mjs'; console.log(tokenForLink(process.argv[2]));";
    let (tokens, links) = (block("### Node", "js"), block("### Three free pictures", "js"));
    let files = [("tokens.mjs", &*tokens), ("links.mjs", &*links), ("main.mjs", main)];
    let directory = directory_of(&stack, "links", &files);
    (stack, move |link: &str| output_of(node(&directory, "main.mjs").arg(link)))
}

fn draw(stack: &Stack, token: &str, prompt: &str) -> Response {
    stack.send(&Request::post(FLUX).bearer(token).json(&json!({"input": {"prompt": prompt}})))
}

fn assert_spent(answer: &Response) {
    assert_refused(answer, 402, "payment_error", "insufficient_credits");
}

#[test]
fn a_link_makes_three_images_and_no_fourth() {
    let (stack, mint) = links();
    let token = mint("link-one");
    for prompt in ["one", "two", "three"] {
        assert_eq!(draw(&stack, &token, prompt).status, 201);
    }
    assert_spent(&draw(&stack, &token, "four"));
    // A page that is opened again gets a new token, but no new images.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let again = mint("link-one");
    assert_ne!(again, token);
    assert_spent(&draw(&stack, &again, "five"));
    assert_eq!(stack.get(&again, "/v1/predictions").json()["data"].as_array().unwrap().len(), 3);
    assert_eq!(stack.sent(), ["one", "two", "three"]);

    let other = mint("link-two");
    assert!(stack.get(&other, "/v1/predictions").json()["data"].as_array().unwrap().is_empty());
    assert_refused(&stack.create(&other), 403, "permission_error", "model_not_allowed");
    let created = draw(&stack, &other, "six");
    assert_eq!(created.status, 201);
    let cancel = Request::post(&format!("/v1/predictions/{}/cancel", job_id(&created))).bearer(&other);
    assert_refused(&stack.send(&cancel), 403, "permission_error", "insufficient_permissions");
}

#[test]
fn of_four_concurrent_creates_a_link_makes_three() {
    let (stack, mint) = links();
    for link in ["link-a", "link-b", "link-c"] {
        let token = mint(link);
        let answers = at_once(4, |number| draw(&stack, &token, &format!("{link} {number}")));
        let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| [201, 202].contains(&answer.status));
        assert_eq!((made.len(), refused.len()), (3, 1));
        assert_spent(refused[0]);
        made.iter().for_each(|answer| drop(stack.ended(&token, &job_id(answer))));
    }
    assert_eq!(stack.sent().len(), 9, "nothing of what was refused");
}

#[test]
fn an_image_that_fails_counts_and_its_credits_are_released() {
    let (stack, mint) = links();
    stack.control_put("/settings", &json!({"manual": true}));
    let token = mint("link-one");
    assert_eq!(draw(&stack, &token, "one").status, 201);
    stack.finish("one", &json!({"status": "failed", "credits_used": "0"}));
    wait_until("one has failed", || {
        let data = stack.get(&token, "/v1/predictions").json()["data"].clone();
        (data[0]["status"] == "failed").then_some(())
    });
    assert_eq!(stack.usage(&token)["credits_spent"], "0");
    assert_eq!(draw(&stack, &token, "two").status, 201);
    assert_eq!(draw(&stack, &token, "three").status, 201);
    assert_spent(&draw(&stack, &token, "four"));
}
