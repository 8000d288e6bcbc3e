import Foundation

/// Calls a prediction API through Valetkey. It keeps the token in memory, so make one and share it.
///
/// Every method throws a `ValetkeyError`, or `CancellationError` when its task is canceled: that ends the waiting, and the prediction goes
/// on. `cancel(_:)` ends the prediction.
public final class Valetkey: Sendable {
    /// The API waits up to 45 s for the vendor before it answers a create.
    private static let createTimeout: TimeInterval = 55

    /// After its last byte, a file is still on its way to the vendor.
    private static let uploadTimeout: TimeInterval = 120

    private let connection: Connection

    /// - Parameters:
    ///   - baseURL: https, or http on this machine. Anything else throws a `URLError`.
    ///   - appCheck: gives the token of Firebase App Check, where the deployment wants one with each request. What it throws counts as
    ///     what the token provider throws.
    ///   - tokenProvider: asks the app's own backend for a JWT of the signed-in user.
    public init(
        baseURL: URL, configuration: URLSessionConfiguration = .ephemeral, appCheck: (@Sendable () async throws -> String)? = nil,
        tokenProvider: @escaping TokenProvider
    ) throws {
        connection = try Connection(baseURL: baseURL, configuration: configuration, appCheck: appCheck, tokenProvider: tokenProvider)
    }

    /// Makes a prediction and waits until it succeeded: its `output` are URLs.
    ///
    /// - Parameters:
    ///   - model: `owner/model`.
    ///   - input: by the model's rules, such as `["prompt": "A serene Japanese garden"]`.
    ///   - idempotencyKey: the same key, the same prediction, for 24 hours. Keep it to repeat a create after the app was ended.
    ///   - onUpdate: each state: the place in the queue, and when it starts.
    public func run(
        _ model: String, input: some Encodable & Sendable, idempotencyKey: String = UUID().uuidString,
        onUpdate: @Sendable (Prediction) -> Void = { _ in }
    ) async throws -> Prediction {
        var prediction = try await create(model, input: input, idempotencyKey: idempotencyKey)
        onUpdate(prediction)
        if !prediction.hasEnded {
            do {
                prediction = try await wait(prediction.jobID, onUpdate: onUpdate)
            } catch var error as ValetkeyError {
                // Whoever repeats what failed needs its key, also when the create was answered and what came after it failed.
                error.idempotencyKey = idempotencyKey
                error.jobID = prediction.jobID
                throw error
            }
        }
        guard prediction.status == .succeeded else { throw ValetkeyError(failed: prediction) }
        return prediction
    }

    /// Makes a prediction: queued or processing.
    public func create(
        _ model: String, input: some Encodable & Sendable, idempotencyKey: String = UUID().uuidString, imageCount: Int? = nil
    ) async throws -> Prediction {
        // A line break would end up in a header.
        guard (1...255).contains(idempotencyKey.utf8.count), idempotencyKey.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw ValetkeyError(Code(rawValue: "invalid_idempotency_key"), "An idempotency key is 1 to 255 printable characters.")
        }
        let body: Data
        do {
            body = try JSONEncoder().encode(CreateRequest(input: input, imageCount: imageCount))
        } catch {
            throw ValetkeyError(Code(rawValue: "invalid_parameter"), "The input is no JSON: \(error.localizedDescription)")
        }
        let path = "/v1/\(try Self.path(of: model))/predictions"
        let headers = ["Content-Type": "application/json", "Idempotency-Key": idempotencyKey]
        let call = Connection.Call(method: "POST", path: path, headers: headers, body: body, timeout: Self.createTimeout)
        do {
            return try await connection.send(call, as: Prediction.self)
        } catch var error as ValetkeyError {
            error.idempotencyKey = idempotencyKey
            // 502 and 504 name the prediction: it exists, and may go on. If it failed, the refusal says more.
            guard let jobID = error.jobID else { throw error }
            let prediction: Prediction
            do {
                prediction = try await get(jobID)
            } catch var lookError as ValetkeyError {
                lookError.idempotencyKey = idempotencyKey
                lookError.jobID = jobID
                throw lookError
            }
            if prediction.status == .failed {
                error.prediction = prediction
                throw error
            }
            return prediction
        }
    }

    public func get(_ jobID: String) async throws -> Prediction {
        try await connection.send(.init(path: Self.path(ofPrediction: jobID)), as: Prediction.self)
    }

    /// The prediction when it has ended, however it ended.
    public func wait(_ jobID: String, onUpdate: @Sendable (Prediction) -> Void = { _ in }) async throws -> Prediction {
        for try await prediction in events(jobID) {
            onUpdate(prediction)
            if prediction.hasEnded { return prediction }
        }
        // The stream of a canceled task ends without an error.
        try Task.checkCancellation()
        var error = ValetkeyError(.unreadableAnswer, "The events ended too early.")
        error.jobID = jobID
        throw error
    }

    /// The present state, then each change until the end. Lost connections are resumed.
    public func events(_ jobID: String) -> AsyncThrowingStream<Prediction, Error> {
        Events(connection: connection, path: Self.path(ofPrediction: jobID)).stream()
    }

    /// Asks for the end and answers at once; `cancelRequested` until the vendor confirmed.
    @discardableResult
    public func cancel(_ jobID: String) async throws -> Prediction {
        try await connection.send(.init(method: "POST", path: Self.path(ofPrediction: jobID) + "/cancel"), as: Prediction.self)
    }

    /// Uploads a file of at most 90,000,000 bytes without reading it into memory. An upload has no idempotency key: where its answer is
    /// lost, it is not repeated.
    ///
    /// - Parameter contentType: image/png, jpeg, webp or gif, video/mp4 or webm, audio/wav.
    public func upload(_ file: URL, contentType: String, onProgress: @escaping @Sendable (Double) -> Void = { _ in }) async throws -> StoredFile {
        guard file.isFileURL, (try? file.checkResourceIsReachable()) == true else {
            throw ValetkeyError(Code(rawValue: "invalid_parameter"), "There is no such file.")
        }
        let call = Connection.Call(method: "POST", path: "/v1/files", headers: ["Content-Type": contentType], timeout: Self.uploadTimeout, isRepeatable: false)
        return try await connection.repeating(isRepeatable: false) {
            try await connection.authorized(call) { request in
                let (data, response) = try await connection.session.upload(for: request, fromFile: file, delegate: UploadProgress(onProgress))
                guard let answer = response as? HTTPURLResponse else { throw ValetkeyError(.unreadableAnswer, "No HTTP.") }
                guard answer.statusCode == 201 else { throw ValetkeyError(answer: answer, body: data) }
                guard let stored = try? JSONDecoder().decode(StoredFile.self, from: data) else {
                    throw ValetkeyError(.unreadableAnswer, "The answer is not Valetkey's.")
                }
                return stored
            }
        }
    }

    private static let nameCharacters = CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")

    /// `owner/model` as a path. A name of dots would lead to another route.
    static func path(of model: String) throws -> String {
        let names = model.split(separator: "/", omittingEmptySubsequences: false)
        let isModel = names.count == 2 && names.allSatisfy { name in
            !name.isEmpty && name.unicodeScalars.allSatisfy(nameCharacters.contains) && !name.allSatisfy { $0 == "." }
        }
        guard isModel else { throw ValetkeyError(Code(rawValue: "model_not_allowed"), "A model is `owner/model`.") }
        return model
    }

    static func path(ofPrediction jobID: String) -> String {
        "/v1/predictions/" + (jobID.addingPercentEncoding(withAllowedCharacters: nameCharacters) ?? "")
    }
}

private struct CreateRequest<Input: Encodable>: Encodable {
    let input: Input
    let imageCount: Int?

    enum CodingKeys: String, CodingKey {
        case input
        case imageCount = "image_count"
    }
}

private final class UploadProgress: NSObject, URLSessionTaskDelegate {
    private let report: @Sendable (Double) -> Void

    init(_ report: @escaping @Sendable (Double) -> Void) {
        self.report = report
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didSendBodyData: Int64, totalBytesSent: Int64, totalBytesExpectedToSend: Int64) {
        report(Double(totalBytesSent) / Double(max(totalBytesExpectedToSend, 1)))
    }
}
