// Stands for the annotation that kotlin-test-junit brings along: the tests run without JUnit here, and with it under Gradle.
package kotlin.test

annotation class Test
