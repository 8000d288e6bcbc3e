/// `error.code` of an answer, why a prediction failed, or what this client met itself. A newer API may have codes that are not named here.
public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    public var description: String { rawValue }

    // What this client adds.
    /// No answer: no connection.
    public static let network = Code(rawValue: "network")
    /// No answer in time.
    public static let timeout = Code(rawValue: "timeout")
    /// An answer that is not Valetkey's: a proxy, a captive portal.
    public static let unreadableAnswer = Code(rawValue: "unreadable_answer")
    /// The token provider failed.
    public static let noToken = Code(rawValue: "no_token")
    /// The prediction that was waited for was canceled.
    public static let canceled = Code(rawValue: "canceled")

    /// What a client does about each code (docs/clients.md).
    var advice: ValetkeyError.Advice { Self.advices[rawValue] ?? .giveUp }

    static let advices: [String: ValetkeyError.Advice] = [
        "network": .repeat,
        "timeout": .repeat,
        "unreadable_answer": .repeat,
        "idempotency_in_progress": .repeat,
        "upstream_error": .repeat,
        "upstream_timeout": .repeat,
        "rate_limited": .wait,
        "too_many_predictions": .wait,
        "queue_full": .wait,
        "limiter_unavailable": .wait,
        "upstream_unavailable": .wait,
        "missing_token": .askUser,
        "invalid_token": .askUser,
        "no_token": .askUser,
        "insufficient_credits": .askUser,
        "invalid_parameter": .askUser,
        "body_too_large": .askUser,
        "unsupported_media_type": .askUser,
        "upstream_rejected": .askUser,
        "upstream_failed": .askUser,
        "upstream_lost": .askUser,
        "outcome_unknown": .askUser,
        "queue_timeout": .askUser,
        "timed_out": .askUser,
        "canceled": .giveUp,
        "misconfigured": .giveUp,
        "not_ended": .giveUp,
        "invalid_json": .giveUp,
        "unsupported_parameter": .giveUp,
        "invalid_idempotency_key": .giveUp,
        "insufficient_permissions": .giveUp,
        "model_not_allowed": .giveUp,
        "origin_not_allowed": .giveUp,
        "not_found": .giveUp,
        "method_not_allowed": .giveUp,
        "idempotency_mismatch": .giveUp,
    ]
}
