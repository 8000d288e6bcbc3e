// Checks of the arguments that an app passes to the client, before anything is sent.
import Foundation

private let maxUploadBytes = 90_000_000
/// Characters of an invalid value that an error quotes: as long as an ID can be, and shorter than a token.
private let maxQuoted = 64

extension ValetkeyError {
    /// Makes the error for an invalid argument. Messages end up in logs, so pass a value as `found` only if it cannot
    /// be a misplaced token or prompt.
    static func invalid(_ param: String, _ allowed: String, _ found: String) -> ValetkeyError {
        var error = ValetkeyError(.invalidParameter, "`\(param)` must be \(allowed), not \(found).")
        error.param = param
        return error
    }
}

private func quoted(_ text: String) -> String { "\"\(text.prefix(maxQuoted))\"" }

private func consists(_ text: some StringProtocol, of isAllowed: (UInt8) -> Bool) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy(isAllowed)
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

private func isLowercase(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

private func isWord(_ byte: UInt8) -> Bool {
    isDigit(byte) || isLowercase(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || byte == UInt8(ascii: "_")
}

/// Returns the URL without trailing slashes. Requires https, except for this machine and with `allowHTTP`, because plain
/// http would expose the token on the network. Valetkey's routes have no prefix, so a path is a mistake, such as the `/v1` of the
/// vendor's base URL.
func checkedBase(_ url: URL, allowHTTP: Bool) throws -> String {
    let allowed = "an https URL without a path, or http on this machine (with `allowHTTP: true` on any)"
    guard url.user == nil, url.password == nil else { throw ValetkeyError.invalid("baseURL", allowed, "one with a user or a password") }
    var base = url.absoluteString
    while base.hasSuffix("/") { base.removeLast() }
    let host = url.host ?? ""
    let scheme = url.scheme?.lowercased()
    let isOrigin = url.path.allSatisfy { $0 == "/" } && url.query == nil && url.fragment == nil && !host.isEmpty
    guard isOrigin, scheme == "https" || (scheme == "http" && (allowHTTP || isThisMachine(host))) else {
        throw ValetkeyError.invalid("baseURL", allowed, "\"\(url.absoluteString)\"")
    }
    return base
}

private func isThisMachine(_ host: String) -> Bool {
    if ["localhost", "::1", "[::1]"].contains(host.lowercased()) { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { consists($0, of: isDigit) }
}

func checkKey(_ idempotencyKey: String) throws {
    // A line break would inject a header.
    guard (1...255).contains(idempotencyKey.utf8.count), consists(idempotencyKey, of: { (0x20...0x7E).contains($0) }) else {
        throw ValetkeyError(Code(rawValue: "invalid_idempotency_key"), "An idempotency key is a string of 1 to 255 printable ASCII characters.")
    }
}

/// Throws unless the file can be uploaded.
func checkFile(_ file: URL) throws {
    let values = try? file.resourceValues(forKeys: [.isRegularFileKey, .fileSizeKey])
    guard file.isFileURL, values?.isRegularFile == true, let size = values?.fileSize else {
        throw ValetkeyError.invalid("file", "a readable file", "\"\(file.absoluteString)\"")
    }
    guard (1...maxUploadBytes).contains(size) else { throw ValetkeyError.invalid("file", "1 to \(maxUploadBytes) bytes long", "\(size)") }
}

/// Returns the media type without its parameters, such as the codecs of a recording.
func mediaType(_ contentType: String) throws -> String {
    let type = contentType.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
    let parts = type.split(separator: "/", omittingEmptySubsequences: false)
    let others = Set(".+-".utf8)
    guard parts.count == 2, consists(parts[0], of: isLowercase), consists(parts[1], of: { isLowercase($0) || isDigit($0) || others.contains($0) }) else {
        throw ValetkeyError.invalid("contentType", "a media type such as image/png", quoted(contentType))
    }
    return type
}

/// Returns the ID if it is safe in a URL. Dots and slashes would lead to another route.
func checkedID(_ param: String, _ id: String) throws -> String {
    guard id.utf8.count <= 64, consists(id, of: isWord) else {
        throw ValetkeyError.invalid(param, "an ID of 1 to 64 letters, digits and underscores", quoted(id))
    }
    return id
}

func predictionPath(_ jobID: String) throws -> String { "/v1/predictions/\(try checkedID("jobID", jobID))" }

func filePath(_ fileID: String) throws -> String { "/v1/files/\(try checkedID("fileID", fileID))" }

/// Returns `owner/model` as a path. A name that consists only of dots would lead to another route.
func modelPath(_ model: String) throws -> String {
    let names = model.split(separator: "/", omittingEmptySubsequences: false)
    let others = Set(".-".utf8)
    let isModel = names.count == 2 && names.allSatisfy { name in
        consists(name, of: { isWord($0) || others.contains($0) }) && !name.utf8.allSatisfy { $0 == UInt8(ascii: ".") }
    }
    guard isModel else {
        var error = ValetkeyError(Code(rawValue: "model_not_allowed"), "A model's name is `owner/model`, not \(quoted(model)).")
        error.param = "model"
        throw error
    }
    return model
}

/// Returns the path with the non-nil members as its query. Their values need no encoding.
func withQuery(_ path: String, _ members: [(String, String?)]) -> String {
    let set = members.compactMap { name, value in value.map { "\(name)=\($0)" } }
    return set.isEmpty ? path : "\(path)?\(set.joined(separator: "&"))"
}
