import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// A client of Valetkey. It keeps the token in memory, so create one and share it.
///
/// Every method throws a `ValetkeyError`, or a `CancellationError` when its task is canceled. Canceling the task only
/// stops the waiting: the prediction continues. Call `cancel(_:)` to stop the prediction.
public final class Valetkey: Sendable {
    /// Time-out of a create, in seconds. The API waits up to 45 s for the vendor before it responds.
    private static let createTimeout: TimeInterval = 55

    let connection: Connection

    /// - Parameters:
    ///   - baseURL: an https origin, or http on this machine. Anything else throws a `ValetkeyError`
    ///     (`invalid_parameter`).
    ///   - allowHTTP: allows http to other machines, for a phone that uses `valetkey dev --lan`. Everyone on the network
    ///     can read the token: never set it in a release.
    ///   - appCheck: returns the Firebase App Check token, if the deployment requires one with each request. Its errors
    ///     are handled like the token provider's.
    ///   - tokenProvider: returns a JWT for the signed-in user, from the app's own backend.
    public init(
        baseURL: URL, allowHTTP: Bool = false, configuration: URLSessionConfiguration = .ephemeral,
        appCheck: (@Sendable () async throws -> String)? = nil, tokenProvider: @escaping TokenProvider
    ) throws {
        let base = try checkedBase(baseURL, allowHTTP: allowHTTP)
        connection = try Connection(base: base, configuration: configuration, appCheck: appCheck, tokenProvider: tokenProvider)
    }

    /// Creates a prediction and waits until it succeeds. Its `output` holds URLs. Throws if it failed or was canceled.
    ///
    /// - Parameters:
    ///   - model: `owner/model`.
    ///   - input: such as `["prompt": "A serene Japanese garden"]`. It has to meet the model's rules.
    ///   - idempotencyKey: for 24 hours, the same key returns the same prediction. Store it to repeat a create after
    ///     the app was killed.
    ///   - onUpdate: called with each state, such as a new queue position and the start.
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
                // The caller needs the key to repeat safely, even if the create succeeded and a later step failed.
                error.idempotencyKey = idempotencyKey
                error.jobID = prediction.jobID
                throw error
            }
        }
        guard prediction.status == .succeeded else { throw ValetkeyError(failed: prediction) }
        return prediction
    }

    /// Creates a prediction and returns it, queued or processing.
    public func create(
        _ model: String, input: some Encodable & Sendable, idempotencyKey: String = UUID().uuidString, imageCount: Int? = nil
    ) async throws -> Prediction {
        try checkKey(idempotencyKey)
        let path = "/v1/\(try modelPath(model))/predictions"
        let body = try CreateRequest(model: nil, input: input, imageCount: imageCount).json()
        let headers = ["Content-Type": "application/json", "Idempotency-Key": idempotencyKey]
        let call = Connection.Call(method: "POST", path: path, headers: headers, body: body, timeout: Self.createTimeout)
        do {
            return try await connection.send(call, as: Prediction.self)
        } catch var error as ValetkeyError {
            error.idempotencyKey = idempotencyKey
            // A 502 or 504 names the prediction: it exists and may still be running. If it failed, the original error
            // says more than the prediction.
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

    /// Returns the prediction as it is now.
    public func get(_ jobID: String) async throws -> Prediction {
        try await connection.send(.init(path: try predictionPath(jobID)), as: Prediction.self)
    }

    /// Waits until the prediction ends and returns it, whether it succeeded, failed or was canceled.
    public func wait(_ jobID: String, onUpdate: @Sendable (Prediction) -> Void = { _ in }) async throws -> Prediction {
        for try await prediction in events(jobID) {
            onUpdate(prediction)
            if prediction.hasEnded { return prediction }
        }
        // If the task was canceled, its stream ends without an error.
        try Task.checkCancellation()
        var error = ValetkeyError(.unreadableAnswer, "The events ended before the prediction did.")
        error.jobID = jobID
        throw error
    }

    /// Returns the prediction's current state, then each change until it ends. Resumes lost connections.
    public func events(_ jobID: String) -> AsyncThrowingStream<Prediction, Error> {
        do {
            return Events(connection: connection, path: try predictionPath(jobID)).stream()
        } catch {
            return AsyncThrowingStream { $0.finish(throwing: error) }
        }
    }

    /// Requests cancellation and returns at once. `cancelRequested` is true until the vendor confirms.
    @discardableResult
    public func cancel(_ jobID: String) async throws -> Prediction {
        try await connection.send(.init(method: "POST", path: try predictionPath(jobID) + "/cancel"), as: Prediction.self)
    }

    /// Deletes a prediction that has ended. A missing prediction is no error, as in `deleteFile`. A running prediction
    /// throws `not_ended`: cancel it first.
    public func delete(_ jobID: String) async throws {
        try await connection.delete(try predictionPath(jobID))
    }

    /// Lists the user's predictions, newest first. A page has `limit` predictions: 25 by default, at most 100.
    ///
    /// - Parameter cursor: `nextCursor` of the previous page.
    public func list(status: Prediction.Status? = nil, limit: Int? = nil, cursor: String? = nil) async throws -> Page<Prediction> {
        if status == .unknown { throw ValetkeyError.invalid("status", "a status of the API", "unknown") }
        let after = try cursor.map { try checkedID("cursor", $0) }
        let path = withQuery("/v1/predictions", [("limit", limit.map(String.init)), ("cursor", after), ("status", status?.rawValue)])
        return try await connection.send(.init(path: path), as: Page<Prediction>.self)
    }

    /// Returns the maximum cost of a prediction, as a decimal number, without creating it.
    public func estimate(_ model: String, input: some Encodable & Sendable, imageCount: Int? = nil) async throws -> String {
        let body = try CreateRequest(model: try modelPath(model), input: input, imageCount: imageCount).json()
        let call = Connection.Call(method: "POST", path: "/v1/estimate", headers: ["Content-Type": "application/json"], body: body)
        return try await connection.send(call, as: Estimate.self).credits
    }

    /// Lists the models of the user's plan, with their prices and input rules.
    public func models() async throws -> [Model] {
        try await connection.send(.init(path: "/v1/models"), as: ModelList.self).data
    }

    /// Returns one model, with its price and input rules.
    public func model(_ model: String) async throws -> Model {
        try await connection.send(.init(path: "/v1/models/\(try modelPath(model))"), as: Model.self)
    }

    /// Returns the user's plan, limits and usage.
    public func account() async throws -> Account {
        try await connection.send(.init(path: "/v1/account"), as: Account.self)
    }
}
