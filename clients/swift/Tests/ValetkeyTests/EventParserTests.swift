import XCTest
@testable import Valetkey

final class EventParserTests: XCTestCase {
    private func events(_ text: String) throws -> [EventParser.Event] {
        var lines = LineSplitter()
        var parser = EventParser()
        return try text.utf8.compactMap { byte in try lines.take(byte).flatMap { try parser.take(line: $0) } }
    }

    func testParsesTheSameEventsWithEachKindOfLineEnd() throws {
        let lines = ["\u{FEFF}event: status", "id: 7", "data: {\"a\":\"ä\"}", "", ": heartbeat", "", "data: one", "data:two", "", ""]
        let wanted = [EventParser.Event(type: "status", data: "{\"a\":\"ä\"}", id: "7"), EventParser.Event(type: "message", data: "one\ntwo", id: "7")]
        for end in ["\n", "\r\n", "\r"] {
            XCTAssertEqual(try events(lines.joined(separator: end)), wanted)
        }
    }

    func testAnUnfinishedEventIsNotDelivered() throws {
        XCTAssertEqual(try events("data: x\n"), [])
    }

    func testACombiningMarkDoesNotHideTheColonOrTheBlankBeforeIt() throws {
        XCTAssertEqual(try events("data:\u{301}x\ndata: \u{301}y\n\n").map(\.data), ["\u{301}x\n\u{301}y"])
    }

    func testAnEndlessLineThrows() {
        XCTAssertThrowsError(try events(String(repeating: "x", count: 2 << 20)))
    }
}
