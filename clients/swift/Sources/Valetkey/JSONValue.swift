import Foundation

/// Any JSON value, for inputs whose members have different types:
/// `["prompt": "A garden", "seed": 7] as JSONValue`.
public enum JSONValue: Codable, Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    public init(from decoder: Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    public func encode(to encoder: Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringInterpolation, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// The last value of a repeated name counts.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
    }
}

/// The body of a create, or of an estimate if `model` is set.
struct CreateRequest<Input: Encodable>: Encodable {
    let model: String?
    let input: Input
    let imageCount: Int?

    enum CodingKeys: String, CodingKey {
        case model, input
        case imageCount = "image_count"
    }

    /// Returns the body as JSON. Sorts the members so that a repeated create has the same bytes; the order of a
    /// `Dictionary` differs from run to run. If JSON cannot express a member, throws an error that names it.
    func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        do {
            return wellFormed(try encoder.encode(self))
        } catch EncodingError.invalidValue(let value, let context) {
            let path = context.codingPath.reduce("") { path, key in
                key.intValue.map { "\(path)[\($0)]" } ?? (path.isEmpty ? key.stringValue : "\(path).\(key.stringValue)")
            }
            throw ValetkeyError.invalid(path, "JSON", (value as? Double).map { "\($0)" } ?? "a value of the type \(type(of: value))")
        } catch {
            throw ValetkeyError.invalid("input", "JSON", "a value that throws when it is encoded")
        }
    }
}

/// Returns JSON without unpaired surrogates, which the API refuses. Replaces them with U+FFFD, like JavaScript's
/// `toWellFormed`. A `String` from Objective-C can have one, such as a prompt that `NSString.substring(to:)` cut inside
/// an emoji.
func wellFormed(_ json: Data) -> Data {
    // Also replaces surrogates that were encoded as UTF-8, and any other bytes that are not UTF-8.
    var bytes = Array(String(decoding: json, as: UTF8.self).utf8)
    var index = 0
    while index < bytes.count {
        guard bytes[index] == UInt8(ascii: "\\") else {
            index += 1
            continue
        }
        guard let unit = escapedUnit(bytes, at: index) else {
            // Another escape, such as `\\`.
            index += 2
            continue
        }
        let isPair = (0xD800...0xDBFF).contains(unit) && (0xDC00...0xDFFF).contains(escapedUnit(bytes, at: index + 6) ?? 0)
        if !isPair, (0xD800...0xDFFF).contains(unit) { bytes.replaceSubrange(index..<index + 6, with: #"\ufffd"#.utf8) }
        index += isPair ? 12 : 6
    }
    return Data(bytes)
}

/// Returns the UTF-16 unit of the escape `\uXXXX` at `index`, or nil if there is none.
private func escapedUnit(_ bytes: [UInt8], at index: Int) -> UInt16? {
    guard index + 6 <= bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") else { return nil }
    return UInt16(String(decoding: bytes[index + 2..<index + 6], as: UTF8.self), radix: 16)
}
