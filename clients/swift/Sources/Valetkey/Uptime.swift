import Foundation

/// A monotonic clock that continues while the device sleeps. Wall-clock time is unsuitable because it can be changed.
enum Uptime {
    #if canImport(Darwin)
    private static let clock = CLOCK_MONOTONIC_RAW
    #else
    private static let clock = CLOCK_BOOTTIME
    #endif

    /// Seconds since an arbitrary time in the past.
    static var now: TimeInterval {
        var time = timespec()
        clock_gettime(clock, &time)
        return TimeInterval(time.tv_sec) + TimeInterval(time.tv_nsec) / 1_000_000_000
    }
}
