import Foundation

extension Valetkey {
    /// Time-out of an upload without progress, in seconds. After the file's last byte, the API still passes the file to
    /// the vendor.
    private static let uploadTimeout: TimeInterval = 120

    /// Uploads a file of at most 90,000,000 bytes without reading it into memory. An upload has no idempotency key, so
    /// the client does not repeat it if the response is lost: look for the file in `files()` first.
    ///
    /// - Parameters:
    ///   - contentType: image/png, jpeg, webp or gif, video/mp4 or webm, audio/wav.
    ///   - onProgress: called with the share of the file that is sent, from 0 to 1. It starts again if the API refuses the
    ///     token.
    public func upload(_ file: URL, contentType: String, onProgress: @escaping @Sendable (Double) -> Void = { _ in }) async throws -> StoredFile {
        guard file.isFileURL, (try? file.checkResourceIsReachable()) == true else {
            throw ValetkeyError(.invalidParameter, "The file does not exist: \(file)")
        }
        let call = Connection.Call(
            method: "POST", path: "/v1/files", headers: ["Content-Type": contentType], file: file, timeout: Self.uploadTimeout, isRepeatable: false,
            onProgress: { sent, total in onProgress(min(1, Double(sent) / Double(max(total, 1)))) })
        return try await connection.send(call, as: StoredFile.self)
    }

    /// Lists the user's files, newest first. A page has 25, or `limit`, which is at most 100.
    ///
    /// - Parameter cursor: `nextCursor` of the previous page.
    public func files(limit: Int? = nil, cursor: String? = nil) async throws -> Page<StoredFile> {
        let query = Self.query([("limit", limit.map(String.init)), ("cursor", cursor)])
        return try await connection.send(.init(path: "/v1/files" + query), as: Page<StoredFile>.self)
    }

    /// Returns what is known about a file.
    public func file(_ fileID: String) async throws -> StoredFile {
        try await connection.send(.init(path: "/v1/files/" + Self.encoded(fileID)), as: StoredFile.self)
    }

    /// Deletes a file.
    public func deleteFile(_ fileID: String) async throws {
        try await connection.send(.init(method: "DELETE", path: "/v1/files/" + Self.encoded(fileID)))
    }
}
