/// A parser of server-sent events from lines (WHATWG HTML, section 9.2.6), for the fields that the API uses.
struct EventParser {
    struct Event: Equatable {
        var type: String
        var data: String
        /// The last `id` field of the stream, in this event or an earlier one.
        var id: String
    }

    struct TooLong: Error {}

    /// 1 MiB. A prediction is a few kilobytes.
    private static let maxPending = 1 << 20

    private var type = ""
    private var data: [String] = []
    private var pending = 0
    private var id = ""

    /// Takes a line without its line end. An empty line completes an event and returns it.
    mutating func take(line: String) throws -> Event? {
        if line.isEmpty {
            defer { (type, data, pending) = ("", [], 0) }
            return data.isEmpty ? nil : Event(type: type.isEmpty ? "message" : type, data: data.joined(separator: "\n"), id: id)
        }
        pending += line.utf8.count
        guard pending <= Self.maxPending else { throw TooLong() }
        // Compares bytes, because a colon or blank followed by a combining mark is one `Character`.
        let bytes = line.utf8
        let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
        var rest = bytes[colon...].dropFirst()
        if rest.first == UInt8(ascii: " ") { rest = rest.dropFirst() }
        let value = String(decoding: rest, as: UTF8.self)
        switch String(decoding: bytes[..<colon], as: UTF8.self) {
        case "data": data.append(value)
        case "event": type = value
        case "id" where !value.utf8.contains(0): id = value
        default: break
        }
        return nil
    }
}

/// A splitter of bytes into lines, which end with LF, CR or CR LF. `URLSession.AsyncBytes.lines` cannot be used: it
/// skips empty lines, which end events.
struct LineSplitter {
    private var bytes: [UInt8] = []
    private var endedWithCarriageReturn = false
    private var isFirst = true

    /// Takes a byte. Returns the line that it ends, if any.
    mutating func take(_ byte: UInt8) throws -> String? {
        defer { endedWithCarriageReturn = byte == 0x0D }
        switch byte {
        case 0x0A where endedWithCarriageReturn: return nil
        case 0x0A, 0x0D:
            defer { bytes.removeAll(keepingCapacity: true) }
            var line = String(decoding: bytes, as: UTF8.self)
            if isFirst, line.first == "\u{FEFF}" { line.removeFirst() }
            isFirst = false
            return line
        default:
            guard bytes.count < 1 << 20 else { throw EventParser.TooLong() }
            bytes.append(byte)
            return nil
        }
    }
}
