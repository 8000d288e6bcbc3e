import Foundation

/// A prediction at one point in time (docs/openapi.json, `Prediction`).
public struct Prediction: Codable, Sendable, Equatable, Identifiable {
    public enum Status: String, Codable, Sendable {
        case queued, processing, succeeded, failed, canceled
        /// A status that this client does not know, from a newer API.
        case unknown

        public init(from decoder: Decoder) throws {
            self = Status(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
        }
    }

    /// Why a prediction failed.
    public struct Failure: Codable, Sendable, Equatable {
        public let code: String
        public let message: String
    }

    /// The vendor's measurements.
    public struct Metrics: Codable, Sendable, Equatable {
        /// Seconds. nil while unknown.
        public let predictTime: Double?

        enum CodingKeys: String, CodingKey {
            case predictTime = "predict_time"
        }
    }

    public struct Queue: Codable, Sendable, Equatable {
        /// Starts at 1.
        public let position: Int
        public let etaSeconds: Int

        enum CodingKeys: String, CodingKey {
            case position
            case etaSeconds = "eta_seconds"
        }
    }

    public let jobID: String
    public let status: Status
    /// `owner/model`.
    public let model: String
    /// ISO 8601, UTC.
    public let createdAt: String
    public let completedAt: String?
    /// https URLs of the results; empty until it succeeded.
    public let output: [String]
    public let error: Failure?
    /// The cost, as a decimal number; nil while it is not known.
    public let creditsUsed: String?
    public let metrics: Metrics?
    /// Set only while it is queued.
    public let queue: Queue?
    /// True from a cancel until the vendor confirms it.
    public let cancelRequested: Bool?

    public var id: String { jobID }

    public var hasEnded: Bool {
        switch status {
        case .queued, .processing, .unknown: return false
        case .succeeded, .failed, .canceled: return true
        }
    }

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case status, model
        case createdAt = "created_at"
        case completedAt = "completed_at"
        case output, error
        case creditsUsed = "credits_used"
        case metrics, queue
        case cancelRequested = "cancel_requested"
    }
}
