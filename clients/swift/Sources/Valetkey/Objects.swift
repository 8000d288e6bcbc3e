/// A page of a list (docs/openapi.json, `PredictionList` and `FileList`).
public struct Page<Item: Decodable & Sendable>: Decodable, Sendable {
    /// Newest first.
    public let data: [Item]
    /// The `cursor` of the next page; nil if this is the last.
    public let nextCursor: String?

    enum CodingKeys: String, CodingKey {
        case data
        case nextCursor = "next_cursor"
    }
}

/// An uploaded file. `fileID` is the value of an input whose rule has `"format":"file"`.
public struct StoredFile: Codable, Sendable, Equatable, Identifiable {
    public let fileID: String
    public let contentType: String
    public let bytes: Int
    /// ISO 8601, UTC.
    public let createdAt: String

    public var id: String { fileID }

    enum CodingKeys: String, CodingKey {
        case fileID = "file_id"
        case contentType = "content_type"
        case bytes
        case createdAt = "created_at"
    }
}

/// The user's plan, limits and usage. Credits are decimal numbers.
public struct Account: Codable, Sendable, Equatable {
    public struct Limits: Codable, Sendable, Equatable {
        public let requestsPerMinute: Int
        public let predictionsPerMinute: Int
        public let concurrentPredictions: Int
        public let dailyCredits: String
        /// The maximum number of the user's queued predictions.
        public let maxWaiting: Int

        enum CodingKeys: String, CodingKey {
            case requestsPerMinute = "requests_per_minute"
            case predictionsPerMinute = "predictions_per_minute"
            case concurrentPredictions = "concurrent_predictions"
            case dailyCredits = "daily_credits"
            case maxWaiting = "max_waiting"
        }
    }

    /// The usage of the current UTC day.
    public struct Usage: Codable, Sendable, Equatable {
        /// The UTC date, such as `2026-01-15`.
        public let day: String
        public let creditsSpent: String
        /// Credits reserved for predictions that have not ended.
        public let creditsReserved: String
        public let predictions: Int
        public let running: Int
        public let waiting: Int

        enum CodingKeys: String, CodingKey {
            case day
            case creditsSpent = "credits_spent"
            case creditsReserved = "credits_reserved"
            case predictions, running, waiting
        }
    }

    /// The plan's name.
    public let plan: String
    public let limits: Limits
    public let usage: Usage
    /// The rest of today's credits.
    public let creditsBalance: String

    enum CodingKeys: String, CodingKey {
        case plan, limits, usage
        case creditsBalance = "credits_balance"
    }
}

struct ModelList: Decodable {
    let data: [Model]
}

struct Estimate: Decodable {
    let credits: String
}

/// A model that the user may use.
public struct Model: Decodable, Sendable, Equatable, Identifiable {
    /// `owner/model`.
    public let id: String
    /// The maximum price of one image, as a decimal number.
    public let credits: String
    /// The rule of each input, by name.
    public let input: [String: InputRule]
}

/// The rule for one input of a model (docs/openapi.json, `InputRule`).
public struct InputRule: Decodable, Sendable, Equatable {
    /// `string`, `integer`, `number`, `boolean` or `array`.
    public let type: String
    public let isRequired: Bool
    /// The value that the API sends to the vendor if the input is absent.
    public let defaultValue: JSONValue?
    /// The allowed values, if the rule lists them.
    public let allowed: [JSONValue]?
    public let min: Double?
    public let max: Double?
    /// The maximum number of characters.
    public let maxLength: Int?
    /// The rule of an array's elements.
    public var items: InputRule? { element.first }
    /// The maximum number of elements.
    public let maxItems: Int?
    /// `https-url`, or `file` for the ID of one of the user's files.
    public let format: String?
    /// At most one element. An array is used because a struct cannot contain itself.
    private let element: [InputRule]

    enum CodingKeys: String, CodingKey {
        case type
        case isRequired = "required"
        case defaultValue = "default"
        case allowed = "enum"
        case min, max
        case maxLength = "max_length"
        case items
        case maxItems = "max_items"
        case format
    }

    public init(from decoder: Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        type = try members.decode(String.self, forKey: .type)
        isRequired = try members.decodeIfPresent(Bool.self, forKey: .isRequired) ?? false
        defaultValue = try members.decodeIfPresent(JSONValue.self, forKey: .defaultValue)
        allowed = try members.decodeIfPresent([JSONValue].self, forKey: .allowed)
        min = try members.decodeIfPresent(Double.self, forKey: .min)
        max = try members.decodeIfPresent(Double.self, forKey: .max)
        maxLength = try members.decodeIfPresent(Int.self, forKey: .maxLength)
        element = try members.decodeIfPresent(InputRule.self, forKey: .items).map { [$0] } ?? []
        maxItems = try members.decodeIfPresent(Int.self, forKey: .maxItems)
        format = try members.decodeIfPresent(String.self, forKey: .format)
    }
}
