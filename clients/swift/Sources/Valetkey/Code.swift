/// The `error.code` of a response, the reason why a prediction failed, or a failure in this client. A newer API may
/// have codes that are not listed here.
public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    public var description: String { rawValue }

    // Failures in this client.
    /// No response: the connection failed.
    public static let network = Code(rawValue: "network")
    /// No response in time.
    public static let timeout = Code(rawValue: "timeout")
    /// A response that is not from Valetkey, such as that of a proxy or a captive portal.
    public static let unreadableAnswer = Code(rawValue: "unreadable_answer")
    /// The token provider or `appCheck` failed.
    public static let noToken = Code(rawValue: "no_token")
    /// The prediction that `run` waited for was canceled.
    public static let canceled = Code(rawValue: "canceled")

    // Codes of the API that this client uses itself.
    static let invalidParameter = Code(rawValue: "invalid_parameter")

    /// The advice for an app on this error code. docs/clients.md has the table.
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
        "file_limit_reached": .askUser,
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
