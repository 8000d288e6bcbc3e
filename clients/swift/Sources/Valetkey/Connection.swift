import Foundation

/// One request with everything that goes with it: token, time limit, repetition, errors.
final class Connection: Sendable {
    struct Call: Sendable {
        var method = "GET"
        /// From `/v1` on.
        var path: String
        var headers: [String: String] = [:]
        var body: Data?
        /// Seconds without a byte.
        var timeout: TimeInterval = 20
        /// Whether to send it twice does no harm.
        var isRepeatable = true
    }

    /// A prediction is a few kilobytes, a list of a hundred less than this.
    private static let maxAnswerBytes = 4 << 20
    private static let maxTries = 4
    /// As long as the API may wait for the vendor, and a little.
    private static let inProgress: TimeInterval = 60

    let session: URLSession
    private let base: String
    private let tokens: TokenStore
    private let attestations: TokenStore?

    init(
        baseURL: URL, configuration: URLSessionConfiguration, appCheck: (@Sendable () async throws -> String)?,
        tokenProvider: @escaping TokenProvider
    ) throws {
        guard let scheme = baseURL.scheme?.lowercased(), let host = baseURL.host else { throw URLError(.badURL) }
        // A token that is sent without encryption is given away: https, or this machine.
        guard scheme == "https" || (scheme == "http" && ["localhost", "127.0.0.1", "::1"].contains(host)),
            baseURL.user == nil, baseURL.query == nil, baseURL.fragment == nil
        else {
            throw URLError(.appTransportSecurityRequiresSecureConnection)
        }
        // A background session has no async calls. The caller's own object stays as it is.
        guard configuration.identifier == nil, let configuration = configuration.copy() as? URLSessionConfiguration else {
            throw URLError(.unsupportedURL)
        }
        var base = baseURL.absoluteString
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base
        tokens = TokenStore(tokenProvider)
        if let appCheck {
            // App Check keeps its own.
            attestations = TokenStore({ _ in try await appCheck() }, keepsTokens: false)
        } else {
            attestations = nil
        }
        configuration.httpCookieStorage = nil
        configuration.urlCache = nil
        configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
        session = URLSession(configuration: configuration, delegate: RedirectRefusal(), delegateQueue: nil)
    }

    deinit {
        session.finishTasksAndInvalidate()
    }

    /// The parsed answer.
    func send<Answer: Decodable>(_ call: Call, as type: Answer.Type) async throws -> Answer {
        let data = try await send(call)
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw ValetkeyError(.unreadableAnswer, "The answer is not Valetkey's.")
        }
    }

    /// Sends it, again where that may help. Throws a `ValetkeyError`, or `CancellationError`.
    func send(_ call: Call) async throws -> Data {
        try await repeating(isRepeatable: call.isRepeatable) {
            let (bytes, _) = try await self.open(call)
            return try await Self.mappingErrors { try await Self.read(bytes) }
        }
    }

    func repeating<T>(isRepeatable: Bool, _ attempt: () async throws -> T) async throws -> T {
        let startedAt = Date()
        var tries = 1
        while true {
            do {
                return try await attempt()
            } catch let error as ValetkeyError where error.mayRepeat(isRepeatable: isRepeatable) {
                // While the first of two is on its way the second is told so each second.
                let isLast = error.code.rawValue == "idempotency_in_progress" ? Date().timeIntervalSince(startedAt) > Self.inProgress : tries >= Self.maxTries
                if isLast { throw error }
                try await Self.sleep(Self.backoff(tries: min(tries, Self.maxTries), retryAfter: error.retryAfter))
                tries += 1
            }
        }
    }

    /// Sends it once, and once more with a new token where the API refused it; the answer is a success and not read yet.
    func open(_ call: Call) async throws -> (URLSession.AsyncBytes, HTTPURLResponse) {
        try await authorized(call) { request in
            let (bytes, response) = try await self.session.bytes(for: request)
            guard let answer = response as? HTTPURLResponse else { throw ValetkeyError(.unreadableAnswer, "No HTTP.") }
            guard (200..<300).contains(answer.statusCode) else {
                throw ValetkeyError(answer: answer, body: (try? await Self.read(bytes)) ?? Data())
            }
            return (bytes, answer)
        }
    }

    /// Has `send` send the request with its token, and once more with a new token where the API refused it.
    func authorized<T>(_ call: Call, _ send: (URLRequest) async throws -> T) async throws -> T {
        let token = try await tokens.token()
        do {
            let request = try await self.request(for: call, token: token)
            return try await Self.mappingErrors { try await send(request) }
        } catch let error as ValetkeyError where error.status == 401 {
            // Revoked, or older than we thought.
            await tokens.refuse(token)
            let fresh = try await tokens.token()
            let request = try await self.request(for: call, token: fresh)
            return try await Self.mappingErrors { try await send(request) }
        }
    }

    private func request(for call: Call, token: String) async throws -> URLRequest {
        guard let url = URL(string: base + call.path) else { throw ValetkeyError(Code(rawValue: "invalid_parameter"), "That is no URL.") }
        var request = URLRequest(url: url, timeoutInterval: call.timeout)
        request.httpMethod = call.method
        request.httpBody = call.body
        request.httpShouldHandleCookies = false
        request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        if let attestations {
            let attestation = try await attestations.token()
            request.setValue(attestation, forHTTPHeaderField: "X-Firebase-AppCheck")
        }
        for (name, value) in call.headers { request.setValue(value, forHTTPHeaderField: name) }
        return request
    }

    static func mappingErrors<T>(_ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch is EventParser.TooLong {
            throw ValetkeyError(.unreadableAnswer, "The answer is not Valetkey's.")
        } catch let error where !(error is ValetkeyError || error is CancellationError) {
            // A connection that broke comes as a URLError, and at times as an error of POSIX.
            let code = (error as? URLError)?.code
            if Task.isCancelled || code == .cancelled { throw CancellationError() }
            throw ValetkeyError(code == .timedOut ? .timeout : .network, error.localizedDescription)
        }
    }

    /// Seconds before the next try. A `Retry-After` gets up to a fifth more, so that those who were sent away together do not
    /// come back together.
    static func backoff(tries: Int, retryAfter: TimeInterval?, random: Double = .random(in: 0..<1)) -> TimeInterval {
        let doubled: Double = 0.5 * pow(2.0, Double(tries - 1))
        let exponential: Double = min(8, doubled) * (0.5 + random / 2)
        return max(exponential, (retryAfter ?? 0) * (1 + 0.2 * random))
    }

    static func sleep(_ seconds: TimeInterval) async throws {
        try await Task.sleep(nanoseconds: UInt64(seconds * 1_000_000_000))
    }

    private static func read(_ bytes: URLSession.AsyncBytes) async throws -> Data {
        defer { bytes.task.cancel() }
        var data = Data()
        for try await byte in bytes {
            guard data.count < maxAnswerBytes else { throw EventParser.TooLong() }
            data.append(byte)
        }
        return data
    }
}

/// The API never redirects; whoever does is somebody else, and does not get the token.
private final class RedirectRefusal: NSObject, URLSessionTaskDelegate {
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }
}
