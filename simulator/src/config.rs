//! The command line and the environment. All of both is parsed before the problems are reported, all at once.

use std::fmt;

use crate::accounts::AccountKey;

/// Minimum length of the HS256 secret, in bytes: the Worker refuses a shorter one.
const MIN_SECRET_BYTES: usize = 32;

/// The settings that the simulator starts with.
#[derive(Clone)]
pub struct Config {
    /// Port of the vendor's API and of the demo's backend; 0 chooses a free port.
    pub port: u16,
    /// Port of the control API; 0 chooses a free port.
    pub control_port: u16,
    /// Accepted vendor keys: `sk_live_…` for the account `acct_1`, or `sk_live_…@account`.
    pub keys: Vec<String>,
    /// How long a prediction runs, in milliseconds.
    pub prediction_ms: u64,
    /// How session tokens are signed; `None` makes `POST /session` respond with 503.
    pub session: Option<SessionConfig>,
}

/// How session tokens are signed.
#[derive(Clone)]
pub struct SessionConfig {
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// The HS256 secret. Its UTF-8 bytes are the key.
    pub secret: String,
    /// The `kid` header, if any.
    pub key_id: Option<String>,
    /// The `plan` claim of tokens whose request names no plan.
    pub plan: Option<String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = [self.port, self.control_port];
        formatter.debug_struct("Config").field("ports", &ports).finish_non_exhaustive()
    }
}

impl fmt::Debug for SessionConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SessionConfig").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { port: 8788, control_port: 8789, keys: Vec::new(), prediction_ms: 4_000, session: None }
    }
}

impl Config {
    /// The text of `--help`.
    pub const USAGE: &'static str = "\
valetkey-simulator [--port N] [--control-port N] [--key sk_live_…[@ACCOUNT]]… [--prediction-ms N]

  --port N           vendor API and demo backend      SIM_PORT           8788   0: a free port
  --control-port N   control API                      SIM_CONTROL_PORT   8789   0: a free port
  --key KEY          accepted key, repeatable         SIM_KEYS (comma list)
  --prediction-ms N  how long a prediction runs       SIM_PREDICTION_MS  4000
  POST /session needs SESSION_ISSUER, SESSION_AUDIENCE, SESSION_SECRET; optional: SESSION_KID, SESSION_PLAN";

    /// Parses flags (`--name value` or `--name=value`) and the environment. A flag overrides its variable; keys of both
    /// are accepted.
    ///
    /// # Errors
    /// Every problem, each with the name of its flag or variable and without its value.
    pub fn parse(arguments: &[String], environment: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut reader = Reader { config: Self::default(), problems: Vec::new() };
        let variable = |name| environment(name).filter(|value| !value.is_empty());
        for (name, flag) in
            [("SIM_PORT", "--port"), ("SIM_CONTROL_PORT", "--control-port"), ("SIM_PREDICTION_MS", "--prediction-ms")]
        {
            if let Some(value) = variable(name) {
                reader.set(name, flag, &value);
            }
        }
        for key in variable("SIM_KEYS").iter().flat_map(|list| list.split(',')) {
            reader.set("SIM_KEYS", "--key", key.trim());
        }
        reader.read_session(variable);
        reader.read_arguments(arguments);
        if reader.problems.is_empty() { Ok(reader.config) } else { Err(reader.problems) }
    }
}

struct Reader {
    config: Config,
    problems: Vec<String>,
}

impl Reader {
    fn read_arguments(&mut self, arguments: &[String]) {
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let (flag, value) = match argument.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (argument.as_str(), arguments.next().map(String::as_str)),
            };
            match value {
                Some(value) => self.set(flag, flag, value),
                None => self.problems.push(format!("{flag} lacks a value")),
            }
        }
    }

    /// Sets the member that `flag` names. A problem is reported under `name`, the flag or its variable.
    fn set(&mut self, name: &str, flag: &str, value: &str) {
        let understood = match flag {
            "--port" => value.parse().map(|port| self.config.port = port).is_ok(),
            "--control-port" => value.parse().map(|port| self.config.control_port = port).is_ok(),
            "--prediction-ms" => value.parse().map(|ms| self.config.prediction_ms = ms).is_ok(),
            "--key" => {
                self.config.keys.push(value.to_owned());
                AccountKey::parse(value).is_some()
            }
            _ => {
                self.problems.push(format!("{name} is not a flag; see --help"));
                return;
            }
        };
        if !understood {
            self.problems.push(format!("{name} is malformed"));
        }
    }

    fn read_session(&mut self, variable: impl Fn(&'static str) -> Option<String>) {
        let Some(secret) = variable("SESSION_SECRET") else { return };
        if secret.len() < MIN_SECRET_BYTES {
            self.problems.push(format!("SESSION_SECRET is shorter than {MIN_SECRET_BYTES} bytes"));
        }
        let mut required = |name| {
            variable(name).unwrap_or_else(|| {
                self.problems.push(format!("{name} is missing, though SESSION_SECRET is set"));
                String::new()
            })
        };
        let (issuer, audience) = (required("SESSION_ISSUER"), required("SESSION_AUDIENCE"));
        let (key_id, plan) = (variable("SESSION_KID"), variable("SESSION_PLAN"));
        self.config.session = Some(SessionConfig { issuer, audience, secret, key_id, plan });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Config::parse(&arguments, |name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_keys_add_up() {
        let config = parse(
            &["--port", "0", "--key=sk_live_test_b@other"],
            &[("SIM_PORT", "9000"), ("SIM_CONTROL_PORT", "9001"), ("SIM_KEYS", "sk_live_test_a")],
        )
        .unwrap();
        assert_eq!((config.port, config.control_port), (0, 9001));
        assert_eq!(config.keys, ["sk_live_test_a", "sk_live_test_b@other"]);
    }

    #[test]
    fn every_problem_is_reported_and_no_value() {
        let environment = [("SESSION_SECRET", "tiny"), ("SIM_PORT", "many")];
        let problems = parse(&["--key", "pk_wrong", "--color=red", "--port"], &environment).unwrap_err();
        assert_eq!(problems.len(), 7, "{problems:?}");
        for value in ["tiny", "many", "pk_wrong", "red"] {
            assert!(problems.iter().all(|problem| !problem.contains(value)), "{value}: {problems:?}");
        }
    }
}
