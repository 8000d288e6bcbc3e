//! A stack: the simulator, and the built Worker on wrangler's own workerd, on free ports, with storage on disk.
//!
//! The harness starts workerd directly, not with `wrangler dev`, whose proxy repairs and repeats requests. When a test
//! panics, its stack prints the logs of both processes. A trap of the Worker's wasm instance fails the run, unless the
//! test expects it. So does a log line that breaks the log's schema.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jwt_simple::prelude::{HS256Key, MACLike};
use serde_json::{Value, json};
use valetkey::types::ids::UserKey;

use crate::hostile::keys::encode;
use crate::http::{Request, Response};
use crate::log_schema;

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "api-test";
pub const SECRET: &str = "a-secret-that-exists-in-tests-alone-0123456789";
/// A vendor key with the right form that belongs to no account.
pub const VENDOR_KEY: &str = "sk_live_Test0Test1Test2Test3-Test4_Test5";
pub const MODEL: &str = "/v1/acme/model-x/predictions";

/// How a stack differs from the default stack.
#[derive(Clone, Default)]
pub struct Options {
    /// Settings to set, or to leave out (`None`).
    pub settings: Vec<(&'static str, Option<String>)>,
    /// Binds `ISSUERS` and `POLICY` as JSON, not as text.
    pub binds_json: bool,
    /// Additional flags of the simulator.
    pub simulator: Vec<&'static str>,
    /// A binding to leave out, as if its service could not be reached.
    pub unbound: Option<&'static str>,
    /// Runs the second build, which has the cargo feature `test-exports` (tests/shipped/entry.js).
    pub test_exports: bool,
    /// Counts what the objects cost, loses messages to them, can run an alarm now, and has a rate-limit binding
    /// (tests/shipped/observed.js).
    pub is_observed: bool,
    /// Namespaces have jurisdictions, as on Cloudflare's network (tests/shipped/places.js).
    pub has_jurisdictions: bool,
    /// Stores in memory where the machine can (Linux): workerd waits for each write to the disk, which other programs may
    /// keep busy.
    pub stores_in_memory: bool,
    /// Objects that another build stored: a `tar` archive of its storage folder.
    pub objects: Option<PathBuf>,
    /// The id of the Worker's version, as the platform's binding has it.
    pub version: Option<&'static str>,
    /// Shifts the Worker's clock by milliseconds (tests/shipped/clock.js).
    pub clock_offset: Option<i64>,
    /// Runs the Worker that was built into this folder, not the one of this tree.
    pub build: Option<PathBuf>,
    /// Runs the objects in a Worker of their own, which was built into this folder, as in the middle of a deployment.
    pub objects_build: Option<PathBuf>,
    /// The test makes the Worker's wasm instance end. Without this a trap fails the test.
    pub may_trap: bool,
}

/// Marks of a trap in workerd's log: the alert of instance.js, the engine's error, the message of a Rust panic.
const TRAP_MARKS: [&str; 3] = [INSTANCE_ENDED, "RuntimeError", "Rust panic"];
pub const INSTANCE_ENDED: &str = "\"alert\":\"instance_ended\"";

/// Both processes. Dropping the stack ends them and their children.
pub struct Stack {
    pub worker: String,
    objects: String,
    pub vendor: String,
    pub control: String,
    pub directory: PathBuf,
    _simulator: Process,
    workerd: Mutex<Process>,
    may_trap: bool,
    /// False for an earlier build, whose log may have had other words.
    is_this_build: bool,
}

static SHARED: LazyLock<Stack> = LazyLock::new(|| {
    let stack = Stack::start(&Options::default());
    // No test drops this stack, so nothing would look at its log at the end.
    stack.workerd.lock().unwrap().ends_run_on_fault.store(true, Ordering::Relaxed);
    stack
});

/// Returns the stack that all tests without faults share.
pub fn shared() -> &'static Stack {
    &SHARED
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} ---\n{}", self.name, self.log());
        }
    }
}

pub struct Process {
    name: &'static str,
    child: Child,
    log: Arc<Mutex<String>>,
    /// The threads that collect the output. They end with the process.
    readers: Vec<JoinHandle<()>>,
    ends_run_on_fault: Arc<AtomicBool>,
    /// When each alert of an instance's end came.
    instance_ends: Arc<Mutex<Vec<Instant>>>,
}

impl Process {
    /// Starts a program that dies with this process, and collects its output.
    fn start(name: &'static str, mut command: Command) -> (Self, Receiver<String>) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn_on_keeper(command)
            .unwrap_or_else(|error| panic!("{name} does not start ({error}): run `make build simulator`"));
        let log = Arc::new(Mutex::new(String::new()));
        let (ends_run_on_fault, instance_ends) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (sender, lines) = channel();
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let collect = |pipe| {
            let (log, sender, ends_run) = (Arc::clone(&log), sender.clone(), Arc::clone(&ends_run_on_fault));
            let instance_ends = Arc::clone(&instance_ends);
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if line.contains(INSTANCE_ENDED) {
                        instance_ends.lock().unwrap().push(Instant::now());
                    }
                    log.lock().unwrap().push_str(&format!("{line}\n"));
                    if ends_run.load(Ordering::Relaxed) && (is_trap(&line) || log_schema::problem(&line).is_some()) {
                        end_run(&log);
                    }
                    let _ = sender.send(line);
                }
            })
        };
        let readers = pipes.map(collect).into();
        (Self { name, child, log, readers, ends_run_on_fault, instance_ends }, lines)
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn kill(&mut self) {
        // SIGKILL, not SIGTERM: the tests check what a crash loses.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Then the log is complete.
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
    }
}

fn is_trap(line: &str) -> bool {
    TRAP_MARKS.iter().any(|mark| line.contains(mark))
}

/// Ends the run after a trap or a wrong log line in the stack that all tests share: which of them caused it is not known. Writes to stderr
/// itself, because the test harness captures `eprintln!`.
fn end_run(log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        // The rest of the message comes in other lines, and through the other pipe.
        std::thread::sleep(Duration::from_millis(500));
        let log = log.lock().unwrap();
        let text = format!(
            "--- workerd of the shared stack ---\n{log}\nA wasm instance of the shared stack trapped, or wrote a wrong line.\n"
        );
        let _ = std::io::stderr().write_all(text.as_bytes());
        std::process::exit(1);
    });
}

impl Stack {
    pub fn start(options: &Options) -> Self {
        let directory = temporary_directory(options.stores_in_memory);
        fs::create_dir_all(directory.join("storage")).unwrap();
        if let Some(archive) = &options.objects {
            run("tar", &["-xzf".as_ref(), archive.as_ref(), "-C".as_ref(), directory.join("storage").as_ref()]);
        }
        let program = std::env::var("SIMULATOR_BIN")
            .map_or_else(|_| root().join("target/debug/valetkey-simulator"), PathBuf::from);
        let mut command = dies_with_parent(&program);
        command.args(["--port", "0", "--control-port", "0", "--key", VENDOR_KEY, "--prediction-ms", "300"]);
        command.args(&options.simulator);
        let (simulator, lines) = Process::start("simulator", command);
        let line = wait_for(&lines, |line| line.starts_with("simulator ready"));
        let addresses: Vec<&str> = line.split("http://").skip(1).map(|part| part.split(' ').next().unwrap()).collect();
        let (vendor, control) = (addresses[0].to_owned(), addresses[1].to_owned());
        let settings = settings(&vendor, options);
        let (build, target) =
            if options.test_exports { ("build/test", "build/test/index.js") } else { ("build", "build") };
        copy_build(&options.build.clone().unwrap_or_else(|| root().join(build)), &directory, target);
        if let Some(build) = &options.objects_build {
            copy_build(build, &directory.join("objects"), target);
        }
        for file in ["backdoor.js", "clock.js", "costs.js", "observed.js", "places.js", "rate_limit.js"] {
            fs::copy(root().join("tests/shipped").join(file), directory.join(file)).unwrap();
        }
        fs::write(directory.join("workerd.capnp"), workerd_config(&settings, &directory, options)).unwrap();
        let (workerd, worker, objects) = start_workerd(&directory);
        let stack = Self {
            worker,
            objects,
            vendor,
            control,
            directory,
            _simulator: simulator,
            workerd: Mutex::new(workerd),
            may_trap: options.may_trap,
            is_this_build: options.build.is_none() && options.objects_build.is_none(),
        };
        // A test of the vendor's own limits sets them. In every other test a refusal is the Worker's.
        stack.control_put("/settings", &json!({"requests_per_minute": null, "concurrent_limit": null}));
        stack
    }

    /// Kills workerd as a crash would, and starts it again on the same storage, on new ports.
    pub fn restart_workerd(&mut self) {
        self.kill_workerd();
        self.start_workerd_again();
    }

    /// Deploys: kills workerd, and starts it again on the same storage with other settings.
    pub fn deploy(&mut self, options: &Options) {
        self.kill_workerd();
        let settings = settings(&self.vendor, options);
        fs::write(self.directory.join("workerd.capnp"), workerd_config(&settings, &self.directory, options)).unwrap();
        self.start_workerd_again();
    }

    pub fn kill_workerd(&self) {
        self.workerd.lock().unwrap().kill();
    }

    pub fn start_workerd_again(&mut self) {
        let (workerd, worker, objects) = start_workerd(&self.directory);
        let before = std::mem::replace(&mut *self.workerd.lock().unwrap(), workerd);
        self.workerd.lock().unwrap().log.lock().unwrap().insert_str(0, &before.log());
        self.worker = worker;
        self.objects = objects;
    }

    /// Kills workerd, and starts it again on the same storage with these builds of the edge and of the objects. The stack
    /// must have started with an `objects_build`.
    pub fn update(&mut self, edge: &Path, objects: &Path) {
        self.kill_workerd();
        copy_build(edge, &self.directory, "build");
        copy_build(objects, &self.directory.join("objects"), "build");
        self.start_workerd_again();
    }

    /// Sends a message to a Durable Object, as another part of the Worker would.
    pub fn send_to_object(&self, binding: &str, name: &str, message: &Value) -> Value {
        Request::post(&format!("/{binding}/{name}")).json(message).send(&self.objects).json()
    }

    /// Sends a message to a Durable Object that it cannot handle.
    pub fn send_raw_to_object(&self, binding: &str, name: &str, message: &Value) -> Response {
        Request::post(&format!("/{binding}/{name}")).json(message).send(&self.objects)
    }

    /// Runs an object's alarm now. The stack must be observed.
    pub fn run_alarm(&self, binding: &str, name: &str) {
        Request::post(&format!("/{binding}/{name}/alarm")).json(&json!({})).send(&self.objects);
    }

    /// Ends the instance of an object once what it has in flight has ended. The next event starts another.
    pub fn evict(&self, binding: &str, name: &str) {
        assert_eq!(Request::post(&format!("/{binding}/{name}/evict")).send(&self.objects).text(), "{}");
    }

    pub fn evict_ledger(&self, subject: &str) {
        self.evict("LEDGER", UserKey::new(ISSUER, subject).as_str());
    }

    pub fn evict_dispatcher(&self) {
        self.evict("DISPATCHER", "main");
    }

    /// Ends the instances of all objects in the middle of what they do. The process and the edge go on.
    pub fn abort_objects(&self) {
        assert_eq!(Request::post("/abort-all").send(&self.objects).text(), "{}");
    }

    /// Returns how many messages the Ledgers and the Dispatcher got. The stack must be observed.
    pub fn object_messages(&self) -> [u64; 2] {
        self.counts("messages")
    }

    /// Returns how many instances of the Ledgers and of the Dispatcher were started. The stack must be observed.
    pub fn object_instances(&self) -> [u64; 2] {
        self.counts("instances")
    }

    fn counts(&self, name: &str) -> [u64; 2] {
        let costs = self.object_costs();
        ["Ledger", "Dispatcher"].map(|class| costs[class][name].as_u64().unwrap())
    }

    /// Returns what the objects have cost so far, as tests/shipped/observed.js counts it. The stack must be observed.
    pub fn object_costs(&self) -> Value {
        self.send(&Request::get("/test/costs")).json()
    }

    /// Loses each message to an object that has this word, until [`Self::lose_no_messages`]. The stack must be observed.
    pub fn lose_messages(&self, word: &str) {
        self.send(&Request::get(&format!("/test/lose?word={word}")));
    }

    pub fn lose_no_messages(&self) {
        self.send(&Request::get("/test/lose"));
    }

    pub fn send(&self, request: &Request) -> Response {
        request.send(&self.worker)
    }

    pub fn get(&self, token: &str, target: &str) -> Response {
        self.send(&Request::get(target).bearer(token))
    }

    pub fn create(&self, token: &str) -> Response {
        self.send(&Request::post(MODEL).bearer(token).json(&json!({"input": {"prompt": "a test"}})))
    }

    /// Polls a prediction until it has ended.
    pub fn ended(&self, token: &str, job_id: &str) -> Value {
        self.until(token, job_id, |prediction| {
            ["succeeded", "failed", "canceled"].contains(&prediction["status"].as_str().unwrap_or_default())
        })
    }

    pub fn until(&self, token: &str, job_id: &str, done: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let answer = self.get(token, &format!("/v1/predictions/{job_id}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
            let prediction = answer.json();
            if done(&prediction) {
                return prediction;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "not in time: {prediction}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn control_get(&self, target: &str) -> Value {
        Request::get(target).send(&self.control).json()
    }

    pub fn control_put(&self, target: &str, body: &Value) {
        let answer = Request::new("PUT", target).json(body).send(&self.control);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub fn control_post(&self, target: &str, body: &Value) {
        let answer = Request::post(target).json(body).send(&self.control);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Sets a fault for the next `times` requests to a route of the vendor.
    pub fn fault(&self, route: &str, times: u32, fault: &Value) {
        self.control_post("/faults", &json!({"route": route, "times": times, "fault": fault}));
    }

    pub fn clear_faults(&self) {
        Request::new("DELETE", "/faults").send(&self.control);
    }

    /// Returns the requests that reached the vendor.
    pub fn vendor_requests(&self) -> Vec<Value> {
        self.control_get("/requests")["requests"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until the Worker has logged `word`. Log lines come through a pipe, so they may arrive after the response.
    pub fn assert_logged(&self, word: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.worker_log().contains(word) {
            assert!(Instant::now() < end, "not logged: {word}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns when each wasm instance that has ended did, by its alert.
    pub fn instance_ends(&self) -> Vec<Instant> {
        self.workerd.lock().unwrap().instance_ends.lock().unwrap().clone()
    }

    /// Returns everything that the Worker has logged so far.
    pub fn worker_log(&self) -> String {
        self.workerd.lock().unwrap().log()
    }
}

impl Drop for Stack {
    /// Fails the test if a wasm instance trapped that was not meant to.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.kill_workerd();
        let _ = fs::remove_dir_all(&self.directory);
        let log = self.worker_log();
        assert!(self.may_trap || !log.lines().any(is_trap), "a wasm instance trapped:\n{log}");
        if self.is_this_build {
            assert_eq!(log.lines().find_map(log_schema::problem), None);
        }
    }
}

/// Returns a new subject for each call, so that tests never share a Ledger.
pub fn user(name: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns the time as Unix seconds.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Returns a valid token for a subject.
pub fn token(subject: &str) -> String {
    token_with(subject, json!({}))
}

/// Returns a token with additional or replaced claims.
pub fn token_with(subject: &str, claims: Value) -> String {
    let now = now();
    let mut all = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 300});
    all.as_object_mut().unwrap().extend(claims.as_object().cloned().unwrap());
    sign(&json!({"alg": "HS256", "typ": "JWT"}), &all)
}

pub fn sign(header: &Value, claims: &Value) -> String {
    sign_with(SECRET, header, claims)
}

/// Signs with HS256 and another secret.
pub fn sign_with(secret: &str, header: &Value, claims: &Value) -> String {
    let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let tag = HS256Key::from_bytes(secret.as_bytes()).authentication_tag(input.as_bytes());
    format!("{input}.{}", encode(tag))
}

/// Returns the policy of the default stack: two models and high limits, plus a plan with few credits (`poor`) and a
/// plan with one model (`narrow`).
pub fn policy() -> Value {
    let input = json!({
        "prompt": {"type": "string", "required": true, "max_length": 4000},
        "aspect_ratio": {"type": "string", "enum": ["1:1", "16:9", "9:16", "match_input_image"]},
        "image": {"type": "string", "format": "https-url", "max_length": 2048},
    });
    let plan = |credits: &str| {
        json!({"requests_per_minute": 6000, "predictions_per_minute": 1000,
        "concurrent_predictions": 100, "daily_credits": credits})
    };
    json!({
        "plans": {"default": plan("1000"), "poor": plan("5"),
            "narrow": {"requests_per_minute": 60, "predictions_per_minute": 10, "concurrent_predictions": 2,
                "daily_credits": "50", "models": ["acme/model-y"]}},
        "models": {
            "acme/model-x": {"credits": "2.5", "max_image_count": 2, "input": input},
            "acme/model-y": {"credits": "1", "max_seconds": 2, "input": input},
        },
        "key": {"requests_per_minute": 100_000, "concurrent_predictions": 100},
    })
}

pub fn default_settings(vendor: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("DEEPCREATIVE_API_KEY", VENDOR_KEY.to_owned()),
        ("UPSTREAM_URL", format!("http://{vendor}/v1")),
        ("ALLOWED_ORIGINS", "https://app.example".to_owned()),
        ("ISSUERS", issuers().to_string()),
        ("TEST_SECRET", SECRET.to_owned()),
        ("POLICY", policy().to_string()),
    ])
}

pub fn issuers() -> Value {
    json!([{"issuer": ISSUER, "audience": [AUDIENCE], "keys": {"secret": "TEST_SECRET"}, "algorithms": ["HS256"]}])
}

fn settings(vendor: &str, options: &Options) -> BTreeMap<&'static str, String> {
    let mut settings = default_settings(vendor);
    if let Some(offset) = options.clock_offset {
        settings.insert("TEST_CLOCK_OFFSET_MS", offset.to_string());
    }
    for (name, value) in &options.settings {
        match value {
            // The simulator picks a free port, so a setting cannot contain its address earlier.
            Some(value) => drop(settings.insert(name, value.replace("{vendor}", vendor))),
            None => drop(settings.remove(name)),
        }
    }
    settings
}

fn copy_build(build: &Path, directory: &Path, target: &str) {
    fs::create_dir_all(directory).unwrap();
    for file in ["index.js", "core.wasm"] {
        fs::copy(build.join(file), directory.join(file))
            .unwrap_or_else(|error| panic!("no {} ({error}): run `make {target}` first", build.display()));
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn temporary_directory(is_in_memory: bool) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("valetkey-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let memory = Path::new("/dev/shm");
    if is_in_memory && memory.is_dir() { memory.join(name) } else { std::env::temp_dir().join(name) }
}

/// Spawns from a thread that lives as long as the process: Linux sends the death signal when the spawning thread ends.
fn spawn_on_keeper(command: Command) -> std::io::Result<Child> {
    type Job = (Command, Sender<std::io::Result<Child>>);
    static KEEPER: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
        let (sender, jobs) = channel::<Job>();
        std::thread::spawn(move || jobs.iter().for_each(|(mut command, reply)| drop(reply.send(command.spawn()))));
        Mutex::new(sender)
    });
    let (reply, child) = channel();
    KEEPER.lock().unwrap().send((command, reply)).unwrap();
    child.recv().unwrap()
}

/// Returns a command whose child is killed when its parent ends for any reason (`setpriv --pdeathsig`). Without
/// setpriv, the child may outlive its parent.
fn dies_with_parent(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

fn wait_for(lines: &Receiver<String>, found: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    let mut seen = String::new();
    while start.elapsed() < Duration::from_secs(60) {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) if found(&line) => return line,
            Ok(line) => seen.push_str(&format!("{line}\n")),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    panic!("did not become ready:\n{seen}");
}

/// Runs a program to its end.
pub fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Returns the workerd binary that wrangler depends on, from the package for this platform.
fn workerd_binary() -> PathBuf {
    let packages = fs::read_dir(root().join("node_modules/@cloudflare")).expect("run `make build` first");
    let mut found = packages.flatten().map(|entry| entry.path().join("bin/workerd")).filter(|path| path.exists());
    found.next().expect("no workerd in node_modules: run `make build` first")
}

fn start_workerd(directory: &Path) -> (Process, String, String) {
    let mut command = dies_with_parent(&workerd_binary());
    // `--control-fd=1` reports the chosen ports on stdout.
    // `--experimental` lets backdoor.js evict objects.
    command.args(["serve", "--experimental", "--control-fd=1", "--verbose"]).arg(directory.join("workerd.capnp"));
    let (process, lines) = Process::start("workerd", command);
    let port = |socket: &str| {
        let line = wait_for(&lines, |line| line.contains("\"listen\"") && line.contains(&format!("\"{socket}\"")));
        let event: Value = serde_json::from_str(&line).unwrap();
        format!("127.0.0.1:{}", event["port"])
    };
    let worker = port("http");
    (process, worker, port("objects"))
}

fn workerd_config(settings: &BTreeMap<&str, String>, directory: &Path, options: &Options) -> String {
    let unbound = options.unbound;
    let quote = |text: &str| Value::from(text).to_string();
    let kind = |name: &str| if options.binds_json && ["ISSUERS", "POLICY"].contains(&name) { "json" } else { "text" };
    let bind =
        |(name, value): (&&str, &String)| format!("(name = {}, {} = {}),", quote(name), kind(name), quote(value));
    let texts: String = settings.iter().map(bind).collect();
    let path = |path: PathBuf| quote(&path.to_string_lossy());
    let (storage, assets) = (path(directory.join("storage")), path(root().join("dist/site")));
    let assets_binding = if unbound == Some("ASSETS") { "" } else { r#"(name = "ASSETS", service = "assets"),"# };
    let (wrapper, rate_limit) = if options.is_observed {
        (
            r#"(name = "observed.js", esModule = embed "observed.js"), (name = "costs.js", esModule = embed "costs.js"),"#,
            r#"(name = "ADDRESS_RATE_LIMIT", wrapped = (moduleName = "test:rate-limit")),"#,
        )
    } else if options.clock_offset.is_some() {
        (r#"(name = "clock.js", esModule = embed "clock.js"),"#, "")
    } else if options.has_jurisdictions {
        (r#"(name = "places.js", esModule = embed "places.js"),"#, "")
    } else {
        ("", "")
    };
    let version = options.version.map_or(String::new(), |id| {
        let metadata = quote(&json!({"id": id, "tag": "", "timestamp": "2026-01-15T10:30:00Z"}).to_string());
        format!("(name = \"CF_VERSION_METADATA\", json = {metadata}),")
    });
    // In the middle of a deployment, the edge is one Worker and the objects are another.
    let service_of_objects = if options.objects_build.is_some() { "objects" } else { "main" };
    let bind_objects = |service: &str| -> String {
        [("LEDGER", "Ledger"), ("DISPATCHER", "Dispatcher")]
            .into_iter()
            .filter(|(binding, _)| unbound != Some(binding))
            .map(|(binding, class)| {
                let namespace = format!("(className = \"{class}\"{service})");
                format!("(name = \"{binding}\", durableObjectNamespace = {namespace}),")
            })
            .collect()
    };
    let own_objects = r#"durableObjectNamespaces = [
        (className = "Ledger", uniqueKey = "ledger", enableSql = true),
        (className = "Dispatcher", uniqueKey = "dispatcher", enableSql = true),
      ],
      durableObjectStorage = (localDisk = "storage"),"#;
    let (edge_objects, of_edge, objects_service) = if options.objects_build.is_some() {
        let service = format!(
            r#"(name = "objects", worker = (
      modules = [
        (name = "index.js", esModule = embed "objects/index.js"), (name = "core.wasm", wasm = embed "objects/core.wasm")],
      compatibilityDate = "2026-10-01",
      compatibilityFlags = ["enable_request_signal"],
      bindings = [{texts}
        {}
      ],
      {own_objects}
      globalOutbound = "loopback",
    )),"#,
            bind_objects("")
        );
        (bind_objects(", serviceName = \"objects\""), "", service)
    } else {
        (bind_objects(""), own_objects, String::new())
    };
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [{wrapper}
        (name = "index.js", esModule = embed "index.js"), (name = "core.wasm", wasm = embed "core.wasm")],
      compatibilityDate = "2026-10-01",
      compatibilityFlags = ["enable_request_signal"],
      bindings = [{texts}
        {edge_objects}
        {assets_binding}
        {rate_limit}
        {version}
      ],
      {of_edge}
      globalOutbound = "loopback",
    )),
    {objects_service}
    (name = "backdoor", worker = (
      modules = [(name = "backdoor.js", esModule = embed "backdoor.js")],
      compatibilityDate = "2026-10-01",
      compatibilityFlags = ["unsafe_module"],
      bindings = [
        (name = "LEDGER", durableObjectNamespace = (className = "Ledger", serviceName = "{service_of_objects}")),
        (name = "DISPATCHER", durableObjectNamespace = (className = "Dispatcher", serviceName = "{service_of_objects}")),
      ],
    )),
    (name = "storage", disk = (path = {storage}, writable = true)),
    (name = "assets", disk = (path = {assets})),
    (name = "loopback", network = (allow = ["local", "private"])),
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:0", http = (), service = "main"),
    (name = "objects", address = "127.0.0.1:0", http = (), service = "backdoor"),
  ],
  extensions = [
    (modules = [(name = "test:rate-limit", internal = true, esModule = embed "rate_limit.js")]),
  ],
);
"#
    )
}
