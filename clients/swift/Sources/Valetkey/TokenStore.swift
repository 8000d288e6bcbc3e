import Foundation

/// Gives a JWT for the signed-in user. `forceRefresh`: the API refused the last one, so do not answer from a cache.
public typealias TokenProvider = @Sendable (_ forceRefresh: Bool) async throws -> String

/// The token: asked from the app, shared by all calls, kept in memory and nowhere else.
actor TokenStore {
    /// A token this close to its end is replaced first, so that it does not expire on its way.
    private static let renewBeforeEnd: TimeInterval = 30
    /// Assumed for a token that cannot be read: the API has the last word.
    private static let assumedLifetime: TimeInterval = 60

    private let provider: TokenProvider
    private var held: (token: String, renewAt: TimeInterval)?
    private var pending: Task<String, Error>?
    private var forceRefresh = false

    init(_ provider: @escaping TokenProvider) {
        self.provider = provider
    }

    /// A token that is good for a while. Callers at the same time share one request.
    func token() async throws -> String {
        if let held, Self.uptime < held.renewAt { return held.token }
        if let pending { return try await pending.value }
        let force = forceRefresh
        let askedAt = Self.uptime
        // Not a child of the caller's task: who is canceled must not take the token away from the others.
        let task = Task { [provider] in try await Self.ask(provider, forceRefresh: force) }
        pending = task
        defer { pending = nil }
        let token = try await task.value
        let left = Self.secondsLeft(of: token) ?? Self.assumedLifetime
        held = (token, askedAt + max(left - Self.renewBeforeEnd, left / 2))
        forceRefresh = false
        return token
    }

    /// Every caller that waits for it gets the same error.
    private static func ask(_ provider: TokenProvider, forceRefresh: Bool) async throws -> String {
        do {
            let token = try await provider(forceRefresh)
            // A line break would end up in a header.
            guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw ValetkeyError(.noToken, "The token provider did not answer with a token.")
            }
            return token
        } catch let error as ValetkeyError {
            throw error
        } catch let error as URLError {
            throw ValetkeyError(.network, error.localizedDescription)
        } catch {
            throw ValetkeyError(.noToken, "There is no token: \(error.localizedDescription)")
        }
    }

    /// Forgets a token that the API refused; another one that came meanwhile stays.
    func refuse(_ token: String) {
        guard held?.token == token else { return }
        held = nil
        forceRefresh = true
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
