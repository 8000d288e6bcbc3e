// Responses of the operator's API, as docs/contract.md, section 6, has them. The page and the API are of one version.

export interface Version {
  id: string | null;
  tag: string | null;
}

export interface UnknownOutcome {
  job_id: string;
  model: string;
  user: string;
  since: string;
  slot_ends_at: string;
}

export interface Pause {
  id: string;
  /** `null`: every model. */
  model: string | null;
  started_at: string;
  ends_at: string;
}

export interface Alert {
  time: string;
  alert: string;
  detail: string | null;
}

/** At a deployment the Dispatcher may be of the build before for minutes: what it does not know yet is missing. */
export interface State {
  time: string;
  operator: { name: string; rights: string[] };
  version: { edge: Version; dispatcher: Version };
  vendor_key: { fingerprint: string; health: string; since: string | null };
  rotation?: { state: string; fingerprint: string | null; since: string | null; jobs_of_old_key: number };
  keys_by_version: { version_id: string; fingerprint: string; seen_at: string }[];
  slots: { total: number; in_use: number; unknown: number };
  submitting: number;
  queue: { waiting: number; max_waiting: number };
  requests: { per_minute: number; remaining: number };
  unknown_outcomes: UnknownOutcome[];
  pauses: Pause[];
  today: { day: string; credits: string; predictions?: number; daily_credits: string | null };
  alerts?: Alert[];
  dead_letters: number;
  unreadable_rows: number;
}

export interface Page<Row> {
  data: Row[];
  next_cursor: string | null;
}

export interface DaySpend {
  day: string;
  credits: string;
  predictions: number;
}

export interface UserSpend {
  user: string | null;
  credits: string;
  predictions: number;
}

export interface Refusal {
  day: string;
  code: string;
  count: number;
}

export interface AuditRow {
  id: number;
  time: string;
  operator: string;
  action: string;
  target: string | null;
  request_id: string;
  result: string | null;
}
