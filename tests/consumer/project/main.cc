namespace consumer {
bool MoveMoney();
}

int main() { return consumer::MoveMoney() ? 0 : 1; }
