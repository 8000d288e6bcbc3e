import XCTest
@testable import Valetkey

final class TokenStoreTests: XCTestCase {
    /// The app's token provider: counts its calls, and responds once it is open.
    private actor App {
        private var asked = 0
        private var isSilent = true

        func ask() -> Int {
            asked += 1
            return asked
        }

        func open() {
            isSilent = false
        }

        func untilAsked() async throws {
            while asked == 0 { try await Task.sleep(nanoseconds: 20_000_000) }
        }

        func untilOpen() async throws {
            while isSilent { try await Task.sleep(nanoseconds: 20_000_000) }
        }
    }

    func testACanceledCallerLeavesAtOnceAndTheOthersGetTheToken() async throws {
        let app = App()
        let store = TokenStore({ _ in
            let number = await app.ask()
            try await app.untilOpen()
            return "t\(number)"
        })
        let first = Task { try await store.token() }
        let second = Task { try await store.token() }
        try await app.untilAsked()
        first.cancel()
        do {
            _ = try await first.value
            XCTFail("The canceled caller got a token.")
        } catch is CancellationError {}
        await app.open()
        let token = try await second.value
        XCTAssertEqual(token, "t1")
    }

    func testAProviderThatNeverRespondsDoesNotBlockLaterCallers() async throws {
        let app = App()
        let store = TokenStore({ _ in
            let number = await app.ask()
            if number == 1 { try await Task.sleep(nanoseconds: 60_000_000_000) }
            return "t\(number)"
        }, patience: 0.1)
        do {
            _ = try await store.token()
            XCTFail("The call returned although the provider never responded.")
        } catch let error as ValetkeyError {
            XCTAssertEqual(error.code, .network)
        }
        let token = try await store.token()
        XCTAssertEqual(token, "t2")
    }

    func testATokenIsKeptAndARefusedOneIsReplaced() async throws {
        let store = TokenStore({ forceRefresh in "\(forceRefresh)" })
        let first = try await store.token()
        XCTAssertEqual(first, "false")
        await store.refuse(first)
        let second = try await store.token()
        XCTAssertEqual(second, "true")
        await store.refuse(first)
        let third = try await store.token()
        XCTAssertEqual(third, "true")
    }

    func testAnAttestationIsRequestedForEachCall() async throws {
        let app = App()
        let store = TokenStore({ _ in
            let number = await app.ask()
            return "a\(number)"
        }, keepsTokens: false)
        let first = try await store.token()
        let second = try await store.token()
        XCTAssertEqual([first, second], ["a1", "a2"])
    }

    func testATokenThatCouldInjectAHeaderIsRefused() async {
        for text in ["", "a b", "a\r\nX: y", "ä"] {
            do {
                _ = try await TokenStore({ _ in text }).token()
                XCTFail(text)
            } catch {
                XCTAssertEqual((error as? ValetkeyError)?.code, .noToken)
            }
        }
    }

    func testAMissingNetworkIsDistinguishedFromASignedOutUser() {
        let lost = URLError(.notConnectedToInternet)
        let firebase = NSError(domain: "FIRAuthErrorDomain", code: 17020, userInfo: [NSUnderlyingErrorKey: lost])
        let deeper = NSError(domain: "com.example", code: 1, userInfo: [NSUnderlyingErrorKey: firebase])
        let passing: [Error] = [lost, firebase, deeper, CancellationError()]
        for error in passing { XCTAssertTrue(TokenStore.passes(error), "\(error)") }
        struct SignedOut: Error {}
        let lasting: [Error] = [SignedOut(), URLError(.userAuthenticationRequired), NSError(domain: "FIRAuthErrorDomain", code: 17021)]
        for error in lasting { XCTAssertFalse(TokenStore.passes(error), "\(error)") }
    }
}
