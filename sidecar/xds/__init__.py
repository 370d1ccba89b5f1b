"""Envoy's xDS: shares of applications as runtime values (RTDS) and routes (RDS), over ADS."""
