import XCTest
@testable import Valetkey

final class ObjectsTests: XCTestCase {
    func testEachPartOfARuleIsRead() throws {
        let text = #"""
        {"id":"a/b","credits":"2.5","input":{
          "prompt":{"type":"string","required":true,"max_length":4000,"a_member_of_tomorrow":1},
          "images":{"type":"array","items":{"type":"string","format":"file"},"max_items":4},
          "scale":{"type":"number","enum":[0.5,1],"min":0.5,"max":1,"default":1}}}
        """#
        let model = try JSONDecoder().decode(Model.self, from: Data(text.utf8))
        let prompt = try XCTUnwrap(model.input["prompt"])
        XCTAssertEqual([prompt.isRequired, prompt.maxLength == 4000, prompt.items == nil], [true, true, true])
        let images = try XCTUnwrap(model.input["images"])
        XCTAssertEqual([images.isRequired, images.maxItems == 4, images.items?.format == "file", images.items?.type == "string"], [false, true, true, true])
        let scale = try XCTUnwrap(model.input["scale"])
        XCTAssertEqual(scale.allowed, [0.5, 1])
        XCTAssertEqual(scale.defaultValue, 1)
        XCTAssertEqual([scale.min, scale.max], [0.5, 1])
    }

    func testAPageWithoutACursorIsTheLast() throws {
        let last = try JSONDecoder().decode(Page<StoredFile>.self, from: Data(#"{"data":[],"next_cursor":null}"#.utf8))
        XCTAssertNil(last.nextCursor)
        let first = try JSONDecoder().decode(Page<StoredFile>.self, from: Data(#"{"data":[],"next_cursor":"file_1"}"#.utf8))
        XCTAssertEqual(first.nextCursor, "file_1")
    }

    func testAStatusOfTomorrowIsNoEnd() throws {
        let text = #"{"job_id":"pred_1","status":"resting","model":"a/b","created_at":"2026-01-15T10:30:00Z","output":[],"metrics":{"predict_time":1.5}}"#
        let prediction = try JSONDecoder().decode(Prediction.self, from: Data(text.utf8))
        XCTAssertEqual(prediction.status, .unknown)
        XCTAssertFalse(prediction.hasEnded)
        XCTAssertEqual(prediction.metrics?.predictTime, 1.5)
    }
}
