//! `valetkey-simulator`: see `README.md`, or run it with `--help`.

use std::io::Write;
use std::process::ExitCode;

use valetkey_simulator::Config;

/// Exit status for a bad command line or environment, as in `sysexits.h` (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{}", Config::USAGE);
        return ExitCode::SUCCESS;
    }
    let config = match Config::parse(&arguments, |name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(problems) => {
            print_error(&problems.join("\n"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let simulator = match valetkey_simulator::start(config).await {
        Ok(simulator) => simulator,
        Err(error) => {
            print_error(&format!("cannot listen: {error}"));
            return ExitCode::FAILURE;
        }
    };
    println!("simulator ready {} control {}", simulator.url(), simulator.control_url());
    stop_signal().await;
    ExitCode::SUCCESS
}

/// Waits for Ctrl-C or, on Unix, SIGTERM.
async fn stop_signal() {
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    // An error means that no handler is installed. The process then stops at once.
    let _ = tokio::signal::ctrl_c().await;
}

/// Writes to stderr. A closed stderr does not change the exit status.
fn print_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
