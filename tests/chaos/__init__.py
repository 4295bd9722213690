"""Letters under way while processes are killed and providers fail: how many are lost, how many come twice."""
