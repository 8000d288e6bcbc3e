import Foundation

/// One prediction, as far as it has come (docs/openapi.json, `Prediction`).
public struct Prediction: Codable, Sendable, Equatable, Identifiable {
    public enum Status: String, Codable, Sendable {
        case queued, processing, succeeded, failed, canceled
        /// Of a newer API than this client's.
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

    public struct Queue: Codable, Sendable, Equatable {
        /// From 1.
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
    /// https URLs, empty until it succeeded.
    public let output: [String]
    public let error: Failure?
    /// A decimal number; nil while that is open.
    public let creditsUsed: String?
    /// Only while it is queued.
    public let queue: Queue?
    /// Until the vendor has confirmed the end.
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
        case queue
        case cancelRequested = "cancel_requested"
    }
}

/// An uploaded file: its `fileID` goes into an input whose rule has `"format":"file"`.
public struct StoredFile: Codable, Sendable, Equatable {
    public let fileID: String
    public let contentType: String
    public let bytes: Int
    public let createdAt: String

    enum CodingKeys: String, CodingKey {
        case fileID = "file_id"
        case contentType = "content_type"
        case bytes
        case createdAt = "created_at"
    }
}
