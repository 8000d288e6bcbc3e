// Replaces the annotation of kotlin-test-junit. Here the tests run without JUnit; under Gradle they run with it.
package kotlin.test

annotation class Test
