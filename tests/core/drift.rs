//! Drift tests: README, settings, routes and version pins agree with the code, and only the edge names the platform.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use valetkey::config;
use valetkey::policy::{KEY_MEMBERS, MODEL_MEMBERS, PLAN_MEMBERS, POLICY_MEMBERS, QUEUE_MEMBERS, RULE_MEMBERS};
use valetkey::token::{ISSUER_MEMBERS, Refusal};
use valetkey::wire::rejection::Code;
use valetkey::wire::route::Route;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|_| panic!("{path} is missing"))
}

/// Returns the rows of the table under `heading` of a page in docs/, each as a list of cells.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let page = read(page);
    let section =
        page.split(&format!("\n## {heading}\n")).nth(1).expect("the heading").split("\n## ").next().unwrap().to_owned();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("|---"));
    rows.skip(1).map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Returns each text between backticks.
fn words(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn errors_page_lists_every_error_with_its_status_and_no_other() {
    let listed: BTreeSet<(u16, String)> = table("docs/errors.md", "Error codes")
        .iter()
        .map(|row| (row[0].parse().unwrap(), words(&row[1])[0].clone()))
        .collect();
    let known: BTreeSet<(u16, String)> =
        Code::ALL.iter().map(|code| (code.wire().status, code.wire().code.to_owned())).collect();
    assert_eq!(listed, known);
}

#[test]
fn troubleshooting_names_reasons_of_the_log() {
    let reasons: Vec<String> =
        table("docs/troubleshooting.md", "Every request is 401").iter().flat_map(|row| words(&row[0])).collect();
    assert!(reasons.len() > 7);
    for reason in reasons {
        assert!(Refusal::parse(&reason).is_some(), "{reason}");
    }
}

/// `doc_url` ends in the code, so each code is the id of an anchor on the page that `DOCS_URL` names.
#[test]
fn errors_page_has_an_anchor_for_each_code() {
    let page = read("docs/errors.md");
    for code in Code::ALL.iter().map(|code| code.wire().code) {
        assert!(page.contains(&format!("<a id=\"{code}\"></a>`{code}`")), "{code}");
    }
}

#[test]
fn every_route_of_the_routes_page_is_a_route() {
    for row in table("docs/routes.md", "All routes") {
        let route = words(&row[0])[0]
            .replace("{owner}", "acme")
            .replace("{model}", "x")
            .replace("batch/{id}", "batch/batch_01jh0000000000000000000000")
            .replace("files/{id}", "files/file_01jh0000000000000000000000")
            .replace("{capability}", "abc")
            .replace("{user}", &"0".repeat(64))
            .replace("{id}", "pred_01jh0000000000000000000000");
        let (method, path) = route.split_once(' ').unwrap();
        let parsed = Route::parse(method, path).unwrap_or_else(|_| panic!("{route}"));
        let scope = match parsed {
            Route::User(route) => route.scope().as_str(),
            Route::Public(_) | Route::TokenEndpoint(_) | Route::Admin(_) => "-",
        };
        assert_eq!(scope, row[1], "{route}");
    }
}

/// Returns the names of all variables and secrets that the parser reads.
fn known_settings() -> BTreeSet<String> {
    let source: String = sources("src/config").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let is_name = |text: &&str| text.len() > 3 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    source.split('"').skip(1).step_by(2).filter(is_name).map(str::to_owned).collect()
}

#[test]
fn settings_page_lists_every_setting_and_no_other() {
    let listed: BTreeSet<String> =
        table("docs/settings.md", "Variables and secrets").iter().flat_map(|row| words(&row[0])).collect();
    assert_eq!(listed, known_settings());
}

#[test]
fn the_settings_that_readme_shows_are_accepted() {
    let readme = read("README.md");
    let between =
        |name: &str| readme.split(&format!("{name} = '''")).nth(1).unwrap().split("'''").next().unwrap().to_owned();
    let (issuers, policy) = (between("ISSUERS"), between("POLICY"));
    let parsed = config::parse(&|name| match name {
        "DEEPCREATIVE_API_KEY" => Some("sk_live_Test0Test1Test2Test3".to_owned()),
        "APP_TOKEN_SECRET" => Some("0123456789abcdef0123456789abcdef".to_owned()),
        "ALLOWED_ORIGINS" => Some("https://app.example.com".to_owned()),
        "ISSUERS" => Some(issuers.clone()),
        "POLICY" => Some(policy.clone()),
        _ => None,
    });
    assert!(parsed.is_ok(), "{:?}", parsed.err());
}

#[test]
fn the_example_settings_are_refused() {
    for file in ["wrangler.toml", ".dev.vars.example"] {
        let text = read(file);
        let value = |name: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} =")) || line.starts_with(&format!("{name}=")))?;
            Some(line.split_once('=')?.1.trim().trim_matches('"').to_owned())
        };
        let problems = config::parse(&value).err().unwrap_or_else(|| panic!("{file} is accepted"));
        let names: BTreeSet<&str> = problems.iter().map(|problem| problem.name.as_str()).collect();
        assert!(
            ["ALLOWED_ORIGINS", "ISSUERS", "POLICY", "DEEPCREATIVE_API_KEY"].iter().all(|name| names.contains(name)),
            "{file}: {names:?}"
        );
    }
}

#[test]
fn wrangler_binds_what_the_edge_uses() {
    let wrangler = read("wrangler.toml");
    let edge: String = sources("src/cloudflare").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for (binding, class) in [("LEDGER", "Ledger"), ("DISPATCHER", "Dispatcher")] {
        assert!(wrangler.contains(&format!("name = \"{binding}\"\nclass_name = \"{class}\"")));
        assert!(edge.contains(&format!("\"{binding}\"")) && edge.contains(&format!("pub struct {class} ")));
    }
    assert!(wrangler.contains("binding = \"ASSETS\"") && edge.contains("\"ASSETS\""));
    assert!(wrangler.contains("run_worker_first = true"));
}

/// A table that stores something about users needs a line that says what, and for how long.
#[test]
fn the_page_about_privacy_has_every_table() {
    let (schema, privacy) = (read("docs/schema.md"), read("docs/privacy.md"));
    let mut count = 0;
    for section in ["\n## Ledger (", "\n## Dispatcher ("] {
        let rest = schema.split(section).nth(1).expect("the section");
        let table =
            rest.split("| table | columns | contents |\n").nth(1).expect("the table").split("\n\n").next().unwrap();
        for line in table.lines().filter(|line| line.starts_with("| `")) {
            let name = &words(line)[0];
            assert!(privacy.contains(&format!("\n| `{name}` |")), "docs/privacy.md does not say what {name} holds");
            count += 1;
        }
    }
    assert!(count > 12, "{count}");
}

/// Another place that addresses objects would forget the jurisdiction, and find other objects.
#[test]
fn objects_are_addressed_in_one_place() {
    for path in sources("src/cloudflare") {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let binds = ["\"LEDGER\"", "\"DISPATCHER\""].iter().any(|binding| text.contains(binding));
        assert_eq!(binds, name == "namespaces.rs", "{}", path.display());
        let addresses =
            ["getByName", "idFromName", "get_by_name", "id_from_name"].iter().any(|call| text.contains(call));
        assert_eq!(addresses, ["object_channel.js", "placement.js"].contains(&name), "{}", path.display());
    }
}

#[test]
fn each_file_of_seeds_belongs_to_a_file_with_properties() {
    let seeds = sources("tests/proptest-regressions");
    assert!(!seeds.is_empty());
    for path in seeds {
        let source = path.to_string_lossy().replace("tests/proptest-regressions", "src").replace(".txt", ".rs");
        let text = fs::read_to_string(&source).unwrap_or_else(|_| panic!("{source} is missing"));
        assert!(text.contains("proptest! {"), "{source} has no property");
    }
    for path in sources("src") {
        let text = fs::read_to_string(&path).unwrap();
        let is_configured = text.matches("property_config())]").count() == text.matches("proptest! {").count();
        assert!(is_configured, "{}: a property without the configuration of src/testing.rs", path.display());
    }
}

#[test]
fn makefile_pins_match_the_lock_file() {
    let (makefile, lock) = (read("Makefile"), read("Cargo.lock"));
    let pin =
        |name: &str| makefile.lines().find_map(|line| line.strip_prefix(&format!("{name} := "))).unwrap().to_owned();
    let locked = |name: &str| {
        let entry = lock.split(&format!("name = \"{name}\"\nversion = \"")).nth(1).unwrap();
        entry.split('"').next().unwrap().to_owned()
    };
    assert_eq!(pin("WASM_BINDGEN_VERSION"), locked("wasm-bindgen"));
    assert_eq!(locked("idna_adapter"), "1.0.0", "see docs/decisions/0004-size.md");
    assert!(read("docs/deploy.md").contains(&format!("fails above {} KB", pin("SIZE_CAP_KB"))));
}

#[test]
fn gitignore_covers_local_settings_and_no_source_holds_a_vendor_key() {
    let ignored = read(".gitignore");
    for name in [".dev.vars", "/.dev/", "/build/", "/node_modules/", "/.tools/"] {
        assert!(ignored.lines().any(|line| line == name), "{name}");
    }
    for path in sources("src").into_iter().chain(sources("scripts")).chain(sources("site")) {
        let text = fs::read_to_string(&path).unwrap();
        let is_key = |tail: &str| tail.bytes().take_while(|byte| byte.is_ascii_alphanumeric()).count() >= 24;
        assert!(!text.split("sk_live_").skip(1).any(is_key), "{}", path.display());
    }
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| {
                ["rs", "mjs", "js", "ts", "json", "html", "txt"].iter().any(|known| extension == *known)
            }) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn routes_page_lists_every_route() {
    let page = read("docs/routes.md");
    for (method, path) in valetkey::wire::route::OPERATIONS {
        let path = path.replace("{job_id}", "{id}").replace("{batch_id}", "{id}").replace("{file_id}", "{id}");
        let route = format!("`{} {path}`", method.to_uppercase());
        assert!(page.contains(&route), "docs/routes.md does not say {route}");
    }
}

#[test]
fn the_last_resort_script_matches_the_wire_error() {
    let (wire, script) = (Code::LimiterUnavailable.wire(), read("src/cloudflare/runtime/last_resort.js"));
    for said in [
        format!("status: {}", wire.status),
        format!("type: \"{}\"", wire.kind),
        format!("code: \"{}\"", wire.code),
        format!("message = \"{}\"", wire.message),
    ] {
        assert!(script.contains(&said), "src/cloudflare/runtime/last_resort.js does not say {said}");
    }
}

/// Returns the names of the members that the schema of the settings has at `pointer`.
fn schema_members(pointer: &str) -> BTreeSet<String> {
    let schema: Value = serde_json::from_str(&read("cli/valetkey.schema.json")).unwrap();
    let members = schema.pointer(pointer).and_then(Value::as_object).unwrap_or_else(|| panic!("no {pointer}"));
    members.keys().filter(|name| *name != "$schema").cloned().collect()
}

/// tests/cli/schema.test.mjs compares what the members may be.
#[test]
fn the_schema_of_the_settings_has_the_members_of_the_parser() {
    for (pointer, known) in [
        ("/$defs/issuer/properties", &ISSUER_MEMBERS[..]),
        ("/$defs/policy/properties", &POLICY_MEMBERS[..]),
        ("/$defs/plan/properties", &PLAN_MEMBERS[..]),
        ("/$defs/model/properties", &MODEL_MEMBERS[..]),
        ("/$defs/rule/properties", &RULE_MEMBERS[..]),
        ("/$defs/key/properties", &KEY_MEMBERS[..]),
        ("/$defs/key/properties/queue/properties", &QUEUE_MEMBERS[..]),
    ] {
        let known: BTreeSet<String> = known.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(schema_members(pointer), known, "{pointer}");
    }
}

#[test]
fn the_schema_has_every_variable_and_the_tool_knows_every_secret() {
    let tool = read("cli/src/project/secrets.ts");
    let line = tool.lines().find(|line| line.contains("const SECRET_SETTINGS")).expect("the list of secrets");
    let secrets: BTreeSet<String> = line.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(secrets.contains("DEEPCREATIVE_API_KEY") && secrets.is_disjoint(&schema_members("/properties")));
    let both: BTreeSet<String> = schema_members("/properties").union(&secrets).cloned().collect();
    assert_eq!(both, known_settings());
}

#[test]
fn the_tool_cuts_long_settings_into_as_many_parts_as_the_parser_joins() {
    let parser = read("src/config/parse.rs");
    let last = |name: &str| {
        let text = parser.split(&format!("const {name}_PARTS: u32 = ")).nth(1).unwrap();
        text.split(';').next().unwrap().to_owned()
    };
    let parts = format!("{{ ISSUERS: {}, POLICY: {} }}", last("ISSUERS"), last("POLICY"));
    assert!(read("cli/src/project/variables.ts").contains(&parts), "{parts}");
}

/// A folder of `create` pins the wrangler that this repository tests with.
#[test]
fn the_tool_pins_this_repositorys_wrangler() {
    let manifest: Value = serde_json::from_str(&read("package.json")).unwrap();
    let version = manifest["devDependencies"]["wrangler"].as_str().unwrap();
    assert!(read("cli/src/create/files.ts").contains(&format!("WRANGLER_VERSION = \"{version}\"")), "{version}");
}
