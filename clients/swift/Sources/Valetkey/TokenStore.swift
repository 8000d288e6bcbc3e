import Foundation

/// Gives a JWT for the signed-in user. `forceRefresh`: the API refused the last one, so do not answer from a cache.
///
/// Throw a `URLError` for what passes, such as no network: it is repeated. So is an error with one behind it, as Firebase has them
/// (`NSUnderlyingErrorKey`), and `CancellationError`. After any other error the user has to sign in, and after
/// `URLError(.userAuthenticationRequired)`.
public typealias TokenProvider = @Sendable (_ forceRefresh: Bool) async throws -> String

/// Tokens, or attestations: asked from the app, shared by callers at the same time, kept in memory and nowhere else.
actor TokenStore {
    /// A token this close to its end is replaced first, so that it does not expire on its way.
    private static let renewBeforeEnd: TimeInterval = 30
    /// Assumed for a token that cannot be read: the API has the last word.
    private static let assumedLifetime: TimeInterval = 60

    private let provider: TokenProvider
    private let keepsTokens: Bool
    private let patience: TimeInterval
    private var held: (token: String, renewAt: TimeInterval)?
    private var forceRefresh = false
    private var requests = 0
    /// The number of the request that is waited for.
    private var pending: Int?
    private var timer: Task<Void, Never>?
    private var waiters: [UUID: CheckedContinuation<String, Error>] = [:]

    /// - Parameters:
    ///   - keepsTokens: until shortly before their end. Otherwise each call asks.
    ///   - patience: seconds that a request is waited for.
    init(_ provider: @escaping TokenProvider, keepsTokens: Bool = true, patience: TimeInterval = 20) {
        self.provider = provider
        self.keepsTokens = keepsTokens
        self.patience = patience
    }

    /// A token that is good for a while. Who is canceled leaves at once, and does not take the token away from the others.
    func token() async throws -> String {
        try Task.checkCancellation()
        if let held, Self.uptime < held.renewAt { return held.token }
        let id = UUID()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<String, Error>) in
                // Canceled just now: the handler found nobody yet.
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                    return
                }
                waiters[id] = continuation
                if pending == nil { startRequest() }
            }
        } onCancel: {
            Task { await self.leave(id) }
        }
    }

    /// Forgets a token that the API refused; another one that came meanwhile stays.
    func refuse(_ token: String) {
        guard held?.token == token else { return }
        held = nil
        forceRefresh = true
    }

    private func leave(_ id: UUID) {
        waiters.removeValue(forKey: id)?.resume(throwing: CancellationError())
    }

    private func startRequest() {
        requests += 1
        let number = requests
        pending = number
        // Tasks of nobody's: no caller ends them.
        timer = Task { await self.giveUp(number) }
        Task { await self.request(number) }
    }

    private func request(_ number: Int) async {
        let askedAt = Self.uptime
        let outcome = await Self.outcome(of: provider, forceRefresh: forceRefresh)
        let isAwaited = pending == number
        if isAwaited {
            pending = nil
            timer?.cancel()
        }
        switch outcome {
        case .success(let token):
            // One that comes late is as good, unless it is older than another, or than a refusal.
            guard isAwaited || (held == nil && !forceRefresh) else { return }
            let left = Self.secondsLeft(of: token) ?? Self.assumedLifetime
            if keepsTokens { held = (token, askedAt + max(left - Self.renewBeforeEnd, left / 2)) }
            forceRefresh = false
        case .failure:
            guard isAwaited else { return }
        }
        answer(outcome)
    }

    /// A provider that never answers holds up nobody for good: who waits is told, and who comes next asks again.
    private func giveUp(_ number: Int) async {
        do {
            try await Task.sleep(nanoseconds: UInt64(patience * 1_000_000_000))
        } catch {
            return
        }
        guard pending == number else { return }
        pending = nil
        // No `timeout`, which tells of a stream that something on the way keeps it back.
        answer(.failure(ValetkeyError(.network, "The token provider did not answer in time.")))
    }

    private func answer(_ outcome: Result<String, Error>) {
        let answered = waiters
        waiters = [:]
        for waiter in answered.values { waiter.resume(with: outcome) }
    }

    private static func outcome(of provider: TokenProvider, forceRefresh: Bool) async -> Result<String, Error> {
        do {
            let token = try await provider(forceRefresh)
            // A line break would end up in a header.
            guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                return .failure(ValetkeyError(.noToken, "The token provider did not answer with a token."))
            }
            return .success(token)
        } catch let error as ValetkeyError {
            return .failure(error)
        } catch {
            return .failure(ValetkeyError(passes(error) ? .network : .noToken, "There is no token: \(error.localizedDescription)"))
        }
    }

    /// Whether the app's own function failed for want of a network. The task that it runs in is never canceled: a cancellation is its own.
    static func passes(_ error: Error) -> Bool {
        var next: Error? = error
        // What is behind an error may be a circle.
        for _ in 0..<8 {
            guard let current = next else { return false }
            if current is CancellationError { return true }
            let known = current as NSError
            if known.domain == NSURLErrorDomain {
                return known.code != NSURLErrorUserAuthenticationRequired && known.code != NSURLErrorUserCancelledAuthentication
            }
            next = known.userInfo[NSUnderlyingErrorKey] as? Error
        }
        return false
    }

    /// A clock that nobody sets, and that goes on while the device sleeps.
    private static var uptime: TimeInterval { TimeInterval(clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW)) / 1_000_000_000 }

    /// What is left of a JWT by its own times. Nothing is verified: that is the API's work.
    static func secondsLeft(of token: String, now: TimeInterval = Date().timeIntervalSince1970) -> TimeInterval? {
        struct Times: Decodable {
            let iat: TimeInterval
            let exp: TimeInterval
        }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        var payload = parts[1].replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        while payload.count % 4 != 0 { payload += "=" }
        guard let data = Data(base64Encoded: payload), let times = try? JSONDecoder().decode(Times.self, from: data), times.exp > times.iat else { return nil }
        // By its own times it is not good now, and yet it was just handed out: this device's clock is wrong.
        let isClockWrong = now < times.iat || now >= times.exp
        return isClockWrong ? times.exp - times.iat : times.exp - now
    }
}
