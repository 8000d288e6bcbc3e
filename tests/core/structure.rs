//! The structure of the sources: no circle of imports between files, and the platform named in one folder alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a module: `["token", "verify"]`; the crate's root is empty.
type Module = Vec<String>;

/// A crate's modules, each with its file and its source without comments, texts and tests.
struct Sources(BTreeMap<Module, (PathBuf, String)>);

impl Sources {
    fn read(root: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let mut sources = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs")
                    && !name.ends_with("_tests")
                    && !["testing", "main"].contains(&name.as_str())
                {
                    let mut module: Module = path
                        .parent()
                        .unwrap()
                        .strip_prefix(&root)
                        .unwrap()
                        .iter()
                        .map(|part| part.to_str().unwrap().to_owned())
                        .collect();
                    if !["mod", "lib"].contains(&name.as_str()) {
                        module.push(name);
                    }
                    let text = code_of(&fs::read_to_string(&path).unwrap());
                    sources.insert(module, (path, text));
                }
            }
        }
        Self(sources)
    }

    /// Returns the module that defines the item that `path` names, seen from `from`. Follows `pub use`.
    fn resolve(&self, from: &Module, path: &[String]) -> Option<Module> {
        let mut module = from.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => {
                module.pop()?;
            }
            _ => return None,
        }
        rest = &rest[1..];
        while rest.first().is_some_and(|part| part == "super") {
            module.pop()?;
            rest = &rest[1..];
        }
        while let Some(part) = rest.first() {
            let child: Module = module.iter().cloned().chain([part.clone()]).collect();
            if !self.0.contains_key(&child) {
                break;
            }
            module = child;
            rest = &rest[1..];
        }
        match rest.first() {
            Some(name) => Some(self.definition(&module, name)),
            None => Some(module),
        }
    }

    fn definition(&self, module: &Module, name: &str) -> Module {
        let Some((_, text)) = self.0.get(module) else { return module.clone() };
        for path in re_exports(text) {
            if path.last().is_some_and(|last| last == name) {
                let child: Module = module.iter().cloned().chain(path[..path.len() - 1].iter().cloned()).collect();
                if self.0.contains_key(&child) {
                    return self.definition(&child, name);
                }
            }
        }
        module.clone()
    }

    /// Returns the modules that each module imports. A re-export (`pub use`) is not an import.
    fn imports(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let of = |module: &Module, text: &str| {
            let paths = paths_in(&without_re_exports(text));
            paths.iter().filter_map(|path| self.resolve(module, path)).filter(|target| target != module).collect()
        };
        self.0.iter().map(|(module, (_, text))| (module.clone(), of(module, text))).collect()
    }
}

/// Returns a source without comments, string literals, and the test module at its end.
fn code_of(source: &str) -> String {
    let source = source.split("\n#[cfg(test)]\nmod ").next().unwrap();
    let mut code = String::new();
    for line in source.lines() {
        let mut in_text = false;
        let mut before = ' ';
        for (at, letter) in line.char_indices() {
            if !in_text && line[at..].starts_with("//") {
                break;
            }
            if letter == '"' && before != '\\' && before != '\'' {
                in_text = !in_text;
            } else if !in_text {
                code.push(letter);
            }
            before = letter;
        }
        code.push('\n');
    }
    code
}

/// Returns the paths of all `pub use` statements.
fn re_exports(text: &str) -> Vec<Vec<String>> {
    let statements = text.split("pub use ").skip(1).map(|rest| rest.split(';').next().unwrap());
    statements.flat_map(|statement| expand(statement.trim())).collect()
}

fn without_re_exports(text: &str) -> String {
    let mut parts = text.split("pub use ");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |all, rest| all + rest.split_once(';').map_or("", |(_, rest)| rest))
}

/// Returns every path that begins with `crate`, `super` or `self`.
fn paths_in(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(start) {
            let is_word =
                text[..at].chars().next_back().is_some_and(|letter| letter.is_alphanumeric() || "_:$".contains(letter));
            if !is_word {
                found.extend(expand(&text[at..]));
            }
        }
    }
    found
}

/// Returns the paths in `a::b::{c, d::e}` at the start of `text`.
fn expand(text: &str) -> Vec<Vec<String>> {
    let end =
        text.find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':')).unwrap_or(text.len());
    let prefix: Vec<String> = text[..end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if !(text[..end].ends_with("::") && text[end..].starts_with('{')) {
        return vec![prefix];
    }
    let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
    for letter in text[end..].chars() {
        match letter {
            '{' if depth == 0 => depth = 1,
            '}' if depth == 1 => break,
            ',' if depth == 1 => parts.push(std::mem::take(&mut part)),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                part.push(letter);
            }
        }
    }
    parts.push(part);
    let inner = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).flat_map(expand);
    inner.map(|path| prefix.iter().cloned().chain(path.into_iter().filter(|part| part != "self")).collect()).collect()
}

/// Returns a circle of imports, if there is one: the modules from one of them back to itself.
fn find_circle(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    fn visit(
        module: &Module,
        imports: &BTreeMap<Module, BTreeSet<Module>>,
        trail: &mut Vec<Module>,
        done: &mut BTreeSet<Module>,
    ) -> Option<Vec<Module>> {
        if let Some(at) = trail.iter().position(|other| other == module) {
            return Some(trail[at..].to_vec());
        }
        if !done.insert(module.clone()) {
            return None;
        }
        trail.push(module.clone());
        let circle = imports.get(module).into_iter().flatten().find_map(|next| visit(next, imports, trail, done));
        trail.pop();
        circle
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| visit(module, imports, &mut Vec::new(), &mut done))
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for (root, known) in [("src", ["policy::plans", "types::ids"]), ("simulator/src", ["vendor::error", "app"])] {
        let sources = Sources::read(root);
        let imports = sources.imports();
        // Guards against a vacuous test: imports are found, also those through a re-export.
        let imported: BTreeSet<String> = imports.values().flatten().map(|module| module.join("::")).collect();
        for known in known {
            assert!(imported.contains(known), "nothing in {root} imports {known}");
        }
        if let Some(circle) = find_circle(&imports) {
            let files: Vec<_> = circle.iter().map(|module| sources.0[module].0.display().to_string()).collect();
            panic!("a circle of imports:\n{}", files.join("\n"));
        }
    }
}

#[test]
fn a_circle_would_be_found() {
    let module = |name: &str| vec![name.to_owned()];
    let mut imports = BTreeMap::from([
        (module("a"), BTreeSet::from([module("b")])),
        (module("b"), BTreeSet::from([module("c")])),
        (module("c"), BTreeSet::new()),
    ]);
    assert_eq!(find_circle(&imports), None);
    imports.insert(module("c"), BTreeSet::from([module("b")]));
    assert_eq!(find_circle(&imports).unwrap(), [module("b"), module("c")]);
    let text =
        code_of("use crate::a::{self, b::{C, d}};\n// use crate::x;\nlet text = \"crate::y\";\nsuper::e::f();\n");
    let paths: Vec<String> = paths_in(&text).iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["crate::a", "crate::a::b::C", "crate::a::b::d", "super::e::f"]);
}

#[test]
fn only_the_cloudflare_folder_names_the_platform() {
    let sources = Sources::read("src");
    for (module, (path, _)) in &sources.0 {
        if module.first().is_some_and(|first| first == "cloudflare") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        for name in ["worker::", "js_sys", "web_sys", "wasm_bindgen"] {
            assert!(!text.contains(name), "{} names {name}", path.display());
        }
    }
}

/// The strict parser refuses harmless vendor responses: a `NaN` in an unused member once cost users their pictures.
#[test]
fn the_vendor_is_not_read_by_the_strict_parser() {
    let sources = Sources::read("src");
    let imports = sources.imports();
    let strict: Module = ["parse", "json"].map(str::to_owned).to_vec();
    assert!(imports.values().any(|targets| targets.contains(&strict)), "nothing imports the strict parser");
    let files = sources.0.iter().filter(|(module, _)| module.first().is_some_and(|first| first == "vendor"));
    let mut seen = 0;
    for (module, (path, code)) in files {
        seen += 1;
        assert!(!imports[module].contains(&strict), "{} imports the strict parser", path.display());
        // `serde_json` must not read responses either: it refuses `NaN`, unpaired surrogates and deep nesting. The key
        // scan is exempt because it reads outgoing data.
        let is_key_scan = module.last().is_some_and(|last| last == "key_scan");
        assert!(is_key_scan || !code.contains("serde_json::from_"), "{} reads with serde_json", path.display());
    }
    assert!(seen > 10, "the files of src/vendor are found");
}
