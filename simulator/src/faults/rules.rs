//! The faults that are set, and the requests that each one applies to.

use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::Fault;
use crate::route_name::RouteName;

/// The route that a fault applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Any,
    Route(RouteName),
}

/// A fault and the requests that it applies to.
#[derive(Debug)]
pub struct FaultRule {
    target: Target,
    path_contains: String,
    skip: u64,
    times: Option<u64>,
    fault: Fault,
    /// The fault as received, for `GET /faults`.
    source: Value,
}

/// The JSON body of `POST /faults`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleBody {
    route: String,
    #[serde(default)]
    path_contains: String,
    #[serde(default)]
    skip: u64,
    #[serde(default)]
    times: Option<u64>,
    fault: Value,
}

impl FaultRule {
    /// Parses `{"route":"create","times":1,"skip":0,"path_contains":"","fault":{…}}`. Without `times`, or with null,
    /// the fault stays until it is deleted.
    ///
    /// # Errors
    /// The reason, for the tester to read.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let body: RuleBody = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let target = match body.route.as_str() {
            "any" => Target::Any,
            name => Target::Route(serde_json::from_value(json!(name)).map_err(|error| error.to_string())?),
        };
        let fault: Fault = serde_json::from_value(body.fault.clone()).map_err(|error| error.to_string())?;
        fault.check()?;
        let RuleBody { path_contains, skip, times, fault: source, .. } = body;
        Ok(Self { target, path_contains, skip, times, fault, source })
    }

    fn matches(&self, route: RouteName, path: &str) -> bool {
        let is_target = match self.target {
            Target::Any => true,
            Target::Route(target) => target == route,
        };
        is_target && self.times != Some(0) && path.contains(&self.path_contains)
    }

    fn to_json(&self) -> Value {
        let route = match self.target {
            Target::Any => json!("any"),
            Target::Route(route) => json!(route),
        };
        json!({
            "route": route,
            "path_contains": self.path_contains,
            "skip": self.skip,
            "times": self.times,
            "fault": self.source,
        })
    }
}

/// The faults that are set, oldest first.
#[derive(Debug, Default)]
pub struct FaultList {
    rules: Vec<FaultRule>,
}

impl FaultList {
    /// Adds a fault after all others.
    pub fn add(&mut self, rule: FaultRule) {
        self.rules.push(rule);
    }

    /// Deletes all faults.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Takes the fault for a request: of the rules that match, the oldest one whose `skip` is used up. Counts down the
    /// `skip` of the rules before it, and its own `times`.
    pub fn take(&mut self, route: RouteName, path: &str) -> Option<Fault> {
        for rule in self.rules.iter_mut().filter(|rule| rule.matches(route, path)) {
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times = rule.times.map(|times| times.saturating_sub(1));
            let fault = rule.fault.clone();
            self.rules.retain(|rule| rule.times != Some(0));
            return Some(fault);
        }
        None
    }

    /// Renders `{"faults":[…]}`, with the `skip` and `times` that each fault has left.
    pub fn to_json(&self) -> Value {
        let rules: Vec<Value> = self.rules.iter().map(FaultRule::to_json).collect();
        json!({ "faults": rules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rule: Value) -> FaultList {
        let mut list = FaultList::default();
        list.add(FaultRule::parse(rule.to_string().as_bytes()).unwrap());
        list
    }

    #[test]
    fn a_fault_applies_after_skip_requests_and_times_times() {
        let mut list = list(json!({"route": "get", "skip": 1, "times": 2, "fault": {"status": 500}}));
        let taken: Vec<bool> = (0..4).map(|_| list.take(RouteName::Get, "/v1/predictions/a").is_some()).collect();
        assert_eq!(taken, [false, true, true, false]);
    }

    #[test]
    fn requests_of_other_routes_and_paths_get_no_fault() {
        let mut list = list(json!({"route": "create", "path_contains": "model-x", "fault": {"status": 500}}));
        assert!(list.take(RouteName::Get, "/v1/predictions/model-x").is_none());
        assert!(list.take(RouteName::Create, "/v1/acme/other/predictions").is_none());
        assert!(list.take(RouteName::Create, "/v1/acme/model-x/predictions").is_some());
    }

    #[test]
    fn a_misspelled_or_contradictory_fault_is_refused() {
        for rule in [
            json!({"route": "creation", "fault": {"status": 500}}),
            json!({"route": "create", "fault": {"statsu": 500}}),
            json!({"route": "create", "fault": {"status": 99}}),
            json!({"route": "create", "fault": {}}),
            json!({"route": "create", "fault": {"body": "x", "invalid_json": true}}),
            json!({"route": "create", "fault": {"close_before": true, "drip": 1}}),
            json!({"route": "create", "fault": {"status": 500, "headers": {"a": "b\r\nc: d"}}}),
        ] {
            assert!(FaultRule::parse(rule.to_string().as_bytes()).is_err(), "{rule}");
        }
    }
}
