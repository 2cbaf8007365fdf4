import { expect, it } from 'vitest'
import { parseSpanId, parseTraceId } from './ids'

const id = '4bf92f3577b34da6a3ce929d0e0e4736'

it('trace ids are read in every form people paste', () => {
  expect(parseTraceId(id)).toBe(id)
  expect(parseTraceId(` ${id.toUpperCase()} `)).toBe(id)
  expect(parseTraceId('4bf92f35-77b3-4da6-a3ce-929d0e0e4736')).toBe(id)
  expect(parseTraceId(`00-${id}-00f067aa0ba902b7-01`)).toBe(id)
  expect(parseTraceId(`http://127.0.0.1:14318/traces/${id}?span_id=12`)).toBe(id)
  expect(parseTraceId(`https://x/p/1/traces/${id}`)).toBe(id)
  expect(parseTraceId('0'.repeat(32))).toBeUndefined()
  expect(parseTraceId('checkout')).toBeUndefined()
})

it('span ids are read as hex and as the decimal that Uptrace clients print', () => {
  expect(parseSpanId('00f067aa0ba902b7')).toBe('00f067aa0ba902b7')
  expect(parseSpanId('67667974448284343')).toBe('00f067aa0ba902b7')
  expect(parseSpanId('18446744073709551615')).toBe('ffffffffffffffff')
  expect(parseSpanId('18446744073709551616')).toBeUndefined()
  expect(parseSpanId('0')).toBeUndefined()
  expect(parseSpanId('abc')).toBeUndefined()
})

it('sixteen decimal digits are hex, because that is what OpenTelemetry prints', () => {
  expect(parseSpanId('1234567890123456')).toBe('1234567890123456')
})
