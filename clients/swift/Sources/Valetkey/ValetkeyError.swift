import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Any failure of a call, except cancellation, which throws `CancellationError`.
public struct ValetkeyError: Error, Sendable, LocalizedError {
    /// The recommended reaction of an app to an error.
    public enum Advice: Sendable {
        /// The request may have arrived. Send it again with the same idempotency key: nothing is made twice.
        case `repeat`
        /// The request was refused. It may succeed later, after `retryAfter`.
        case wait
        /// The user has to sign in, choose another input, or decide whether to pay again.
        case askUser
        /// The program or the settings are wrong.
        case giveUp
    }

    public let code: Code
    public let message: String
    /// The HTTP status; nil if there was no response.
    public var status: Int?
    /// The request's ID, which the user can quote to the operator.
    public var requestID: String?
    /// `Retry-After`, in seconds.
    public var retryAfter: TimeInterval?
    /// The invalid parameter, such as `input.prompt`.
    public var param: String?
    /// The ID of the prediction that the error is about. It exists, although the request failed.
    public var jobID: String?
    /// The key of the create. Repeat the create with it, and nothing is made twice.
    public var idempotencyKey: String?
    /// The prediction that did not succeed.
    public var prediction: Prediction?

    public var errorDescription: String? { message }
    /// The recommended reaction: the code's advice, but never `repeat` if there is a failed `prediction`. The same key
    /// would only return that one again.
    public var advice: Advice { code.advice == .repeat && prediction != nil ? .askUser : code.advice }

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Reads the error in an unsuccessful response (docs/openapi.json, `Error`).
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

    /// Makes the error that `run` throws for a prediction that ended without success.
    init(failed prediction: Prediction) {
        self.init(prediction.error.map { Code(rawValue: $0.code) } ?? .canceled, prediction.error?.message ?? "The prediction was canceled.")
        jobID = prediction.jobID
        self.prediction = prediction
    }

    /// Seconds. A longer `Retry-After` is left to the app, which has to tell the user. Per-minute limits send at most
    /// 65.
    private static let longestWait: TimeInterval = 70

    /// Returns whether the client retries the request by itself. `isRepeatable` means that sending it twice is
    /// harmless.
    func mayRepeat(isRepeatable: Bool) -> Bool {
        if (retryAfter ?? 0) > Self.longestWait { return false }
        switch advice {
        case .wait: return true
        case .askUser, .giveUp: return false
        case .repeat:
            // The create failed behind the API and left a prediction. The client reads that one instead.
            guard isRepeatable, jobID == nil else { return false }
            // An unreadable 403 or 404 comes from a wrong address, which a retry does not change.
            guard code == .unreadableAnswer, let status else { return true }
            return status < 300 || status == 429 || status >= 500
        }
    }
}
