import Foundation

extension Valetkey {
    /// Time-out of an upload without progress, in seconds. After the file's last byte, the API still has to pass the
    /// file to the vendor.
    private static let uploadTimeout: TimeInterval = 120

    /// Uploads a file of at most 90,000,000 bytes without reading it into memory. An upload has no idempotency key, so
    /// the client does not repeat it if the response is lost. Before you repeat an upload, look for the file in
    /// `files()`, whatever the error's advice.
    ///
    /// - Parameters:
    /// - contentType: image/png, jpeg, webp or gif, video/mp4 or webm, audio/wav. Parameters after a `;` are not sent.
    /// - onProgress: called with the fraction of the file that is sent, from 0 to 1. It starts again at 0 if the API
    ///   refuses the token.
    public func upload(_ file: URL, contentType: String, onProgress: @escaping @Sendable (Double) -> Void = { _ in }) async throws -> StoredFile {
        let type = try mediaType(contentType)
        try checkFile(file)
        let call = Connection.Call(
            method: "POST", path: "/v1/files", headers: ["Content-Type": type], file: file, timeout: Self.uploadTimeout, isRepeatable: false,
            onProgress: { sent, total in onProgress(min(1, Double(sent) / Double(max(total, 1)))) })
        return try await connection.send(call, as: StoredFile.self)
    }

    /// Lists the user's files, newest first. A page has `limit` files: 25 by default, at most 100.
    ///
    /// - Parameter cursor: `nextCursor` of the previous page.
    public func files(limit: Int? = nil, cursor: String? = nil) async throws -> Page<StoredFile> {
        let after = try cursor.map { try checkedID("cursor", $0) }
        let path = withQuery("/v1/files", [("limit", limit.map(String.init)), ("cursor", after)])
        return try await connection.send(.init(path: path), as: Page<StoredFile>.self)
    }

    /// Returns a file's metadata.
    public func file(_ fileID: String) async throws -> StoredFile {
        try await connection.send(.init(path: try filePath(fileID)), as: StoredFile.self)
    }

    /// Deletes a file. A missing file is no error.
    public func deleteFile(_ fileID: String) async throws {
        try await connection.delete(try filePath(fileID))
    }
}
