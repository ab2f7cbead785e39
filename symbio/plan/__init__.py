"""What a run will do, take and cost, told before anything is started."""
