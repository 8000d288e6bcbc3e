import XCTest
@testable import Valetkey

final class RetryTests: XCTestCase {
    func testBackoffIsBoundedAndNeverShorterThanRetryAfter() {
        for random in [0, 0.5, 0.999] {
            for tries in 1..<40 {
                let delay = Connection.backoff(tries: tries, retryAfter: nil, random: random)
                XCTAssert((0.25...8).contains(delay))
                let told = Connection.backoff(tries: tries, retryAfter: 20, random: random)
                XCTAssert((20...24).contains(told))
            }
        }
    }

    func testARequestThatMayHaveArrivedIsRetriedOnlyIfThatIsHarmless() {
        let error = ValetkeyError(.network, "")
        XCTAssertTrue(error.mayRepeat(isRepeatable: true))
        XCTAssertFalse(error.mayRepeat(isRepeatable: false))
        var named = ValetkeyError(Code(rawValue: "upstream_timeout"), "")
        named.jobID = "pred_1"
        XCTAssertFalse(named.mayRepeat(isRepeatable: true))
        var limited = ValetkeyError(Code(rawValue: "rate_limited"), "")
        XCTAssertTrue(limited.mayRepeat(isRepeatable: false))
        limited.retryAfter = 65
        XCTAssertTrue(limited.mayRepeat(isRepeatable: true))
        limited.retryAfter = 71
        XCTAssertFalse(limited.mayRepeat(isRepeatable: true))
        XCTAssertFalse(ValetkeyError(Code(rawValue: "a_code_of_tomorrow"), "").mayRepeat(isRepeatable: true))
    }

    func testAFailedPredictionChangesTheAdviceFromRepeatToAskUser() throws {
        var error = ValetkeyError(Code(rawValue: "upstream_timeout"), "")
        XCTAssertEqual(error.advice, .repeat)
        let failed = #"{"job_id":"pred_1","status":"failed","model":"a/b","created_at":"2026-01-15T10:30:00Z","output":[]}"#
        error.prediction = try JSONDecoder().decode(Prediction.self, from: Data(failed.utf8))
        XCTAssertEqual(error.advice, .askUser)
    }

    func testPollsOfOneClientTakeTurns() {
        let turns = PollTurns()
        let waits = (0..<40).map { _ in turns.reserve(now: 100) }
        XCTAssertEqual(waits, (0..<40).map { Double($0) * 1.5 })
        // After a pause in polling, the next poll gets its turn at once.
        XCTAssertEqual(turns.reserve(now: 1_000), 0)
        XCTAssertEqual(turns.reserve(now: 1_001), 0.5)
    }

    func testUptimeOnlyGrows() async throws {
        let before = Uptime.now
        try await Connection.sleep(0.05)
        XCTAssert((0.05..<30).contains(Uptime.now - before))
    }
}
