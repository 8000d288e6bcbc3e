import Foundation

/// Everything that can go wrong, but for cancellation, which is `CancellationError`.
public struct ValetkeyError: Error, Sendable, LocalizedError {
    /// What a program does about it.
    public enum Advice: Sendable {
        /// Nobody knows whether it arrived: the same request with the same idempotency key, and nothing is made twice.
        case `repeat`
        /// It was refused, and may pass later, after `retryAfter`.
        case wait
        /// Somebody must sign in, choose other input, or decide to pay again.
        case askUser
        /// The program or the settings are wrong.
        case giveUp
    }

    public let code: Code
    public let message: String
    /// HTTP status; nil where there was no answer.
    public var status: Int?
    /// What a user can quote to the operator.
    public var requestID: String?
    /// `Retry-After`, seconds.
    public var retryAfter: TimeInterval?
    /// The parameter that is wrong, such as `input.prompt`.
    public var param: String?
    /// The prediction that it is about: it exists, although something failed.
    public var jobID: String?
    /// Repeat the create with this key, and nothing is made twice.
    public var idempotencyKey: String?
    /// The prediction that did not succeed.
    public var prediction: Prediction?

    public var errorDescription: String? { message }
    /// What to do about it: what the code says, unless the `prediction` has failed, which is all that the same key would give.
    public var advice: Advice { code.advice == .repeat && prediction != nil ? .askUser : code.advice }

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Reads an answer that is no success (docs/openapi.json, `Error`).
    init(answer: HTTPURLResponse, body: Data) {
        struct Envelope: Decodable {
            struct Details: Decodable {
                let param: String?
                let job_id: String?
            }
            struct Inner: Decodable {
                let code: String
                let message: String
                let request_id: String?
                let details: Details?
            }
            let error: Inner
        }
        let inner = (try? JSONDecoder().decode(Envelope.self, from: body))?.error
        self.init(inner.map { Code(rawValue: $0.code) } ?? .unreadableAnswer, inner?.message ?? "HTTP \(answer.statusCode)")
        status = answer.statusCode
        requestID = inner?.request_id ?? answer.value(forHTTPHeaderField: "X-Request-Id")
        retryAfter = answer.value(forHTTPHeaderField: "Retry-After").flatMap(UInt32.init).map(TimeInterval.init)
        param = inner?.details?.param
        jobID = inner?.details?.job_id
    }

    /// A prediction that ended without success, as what `run` throws.
    init(failed prediction: Prediction) {
        self.init(prediction.error.map { Code(rawValue: $0.code) } ?? .canceled, prediction.error?.message ?? "The prediction was canceled.")
        jobID = prediction.jobID
        self.prediction = prediction
    }

    /// A `Retry-After` above this is the app's business: a person has to be told. The limits of a minute say 65 at most.
    private static let longestWait: TimeInterval = 70

    /// Whether the client sends the same request again by itself. `isRepeatable`: to send it twice does no harm.
    func mayRepeat(isRepeatable: Bool) -> Bool {
        if (retryAfter ?? 0) > Self.longestWait { return false }
        switch advice {
        case .wait: return true
        case .askUser, .giveUp: return false
        case .repeat:
            // A create that failed behind the API has left a prediction, which is followed instead.
            guard isRepeatable, jobID == nil else { return false }
            // An unreadable 404 or 403 is a wrong address, and stays one.
            guard code == .unreadableAnswer, let status else { return true }
            return status < 300 || status == 429 || status >= 500
        }
    }
}
